"""The providers null, random, time, cloudinit and tls through the real engine."""

from __future__ import annotations

import base64
import gzip
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import bcrypt
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.x509.verification import PolicyBuilder, Store

from stead.api.errors import SteadError
from stead.testing.templates import TemplateRunner

pytest_plugins = ["stead.testing.templates"]

RANDOM = """
variable "keeper" {
  default = "1"
}
resource "null_resource" "n" {
  triggers = { k = "KEEPER" }
}
resource "random_id" "id" {
  byte_length = 8
  prefix      = "ws-"
  keepers     = { k = "KEEPER" }
}
resource "random_uuid" "u" {}
resource "random_string" "s" {
  length  = 20
  special = false
  upper   = false
}
resource "random_password" "p" {
  length           = 24
  min_special      = 2
  override_special = "!#"
}
resource "random_pet" "pet" {
  length    = 3
  prefix    = "dev"
  separator = "."
}
resource "random_integer" "port" {
  min = 10000
  max = 10010
}
resource "random_integer" "seeded" {
  min  = 1
  max  = 1000000
  seed = "same"
}
resource "random_shuffle" "zones" {
  input        = ["a", "b", "c"]
  result_count = 2
}
resource "random_bytes" "key" {
  length = 32
}
data "null_data_source" "d" {
  inputs = { a = "x" }
}
"""


def random_template(keeper: str = "1") -> str:
    return RANDOM.replace("KEEPER", keeper)


def test_random_values_are_drawn_once(template_runner: TemplateRunner) -> None:
    template_runner.apply(random_template())
    drawn = template_runner.attributes
    first = drawn("random_id.id")
    assert first["hex"].startswith("ws-")
    assert len(first["hex"]) == len("ws-") + 16
    assert set(drawn("random_string.s")["result"]) <= set("abcdefghijklmnopqrstuvwxyz0123456789")
    password = drawn("random_password.p")
    assert bcrypt.checkpw(password["result"].encode(), password["bcrypt_hash"].encode())
    assert sum(map(password["result"].count, "!#")) >= 2
    assert drawn("random_pet.pet")["id"].startswith("dev.")
    assert drawn("random_pet.pet")["id"].count(".") == 3
    assert 10000 <= drawn("random_integer.port")["result"] <= 10010
    assert len(set(drawn("random_shuffle.zones")["result"]) & {"a", "b", "c"}) == 2
    assert len(base64.b64decode(drawn("random_bytes.key")["base64"])) == 32
    assert drawn("data.null_data_source.d")["outputs"] == {"a": "x"}
    assert not template_runner.plan(random_template()).has_changes
    assert password["result"] not in template_runner.log

    seeded = drawn("random_integer.seeded")["result"]
    template_runner.apply(random_template("2"))
    assert drawn("random_id.id")["hex"] != first["hex"]
    assert drawn("random_integer.seeded")["result"] == seeded
    assert drawn("random_password.p") == password
    assert not template_runner.destroy(random_template("2")).document.resources


def test_a_seed_draws_the_same_for_everybody(template_runner: TemplateRunner, tmp_path: Path) -> None:
    template_runner.apply(random_template())
    other = TemplateRunner(template_runner.engine, tmp_path / "other")
    other.folder.mkdir()
    other.apply(random_template())
    address = "random_integer.seeded"
    assert template_runner.attributes(address)["result"] == other.attributes(address)["result"]


def test_existing_values_can_be_imported(template_runner: TemplateRunner) -> None:
    template = """
        import {
          to = random_integer.n
          id = "7,1,9"
        }
        resource "random_integer" "n" {
          min = 1
          max = 9
        }
        import {
          to = random_password.p
          id = "secret"
        }
        resource "random_password" "p" {
          length = 6
        }
        import {
          to = random_uuid.u
          id = "8f0a4a4e-1f2b-4c3d-9e8f-000102030405"
        }
        resource "random_uuid" "u" {}
    """
    template_runner.apply(template)
    assert template_runner.attributes("random_integer.n")["result"] == 7
    assert template_runner.attributes("random_password.p")["result"] == "secret"
    assert template_runner.attributes("random_uuid.u")["result"].startswith("8f0a4a4e")
    assert not template_runner.plan(template).has_changes


def test_impossible_strings_are_refused_before_anything_runs(template_runner: TemplateRunner) -> None:
    template = 'resource "random_password" "p" {\n length = 3\n min_lower = 2\n min_upper = 2\n}\n'
    with pytest.raises(SteadError, match="less than all the minimums together, 4"):
        template_runner.plan(template)


TIMES = """
resource "time_static" "given" {
  rfc3339 = "2026-02-28T10:20:30Z"
}
resource "time_static" "made" {}
resource "time_offset" "later" {
  base_rfc3339 = time_static.given.rfc3339
  offset_days  = DAYS
}
resource "time_rotating" "monthly" {
  rotation_days = 30
}
resource "time_sleep" "pause" {
  create_duration = "PAUSE"
}
"""


def times(days: str = "1", pause: str = "200ms") -> str:
    return TIMES.replace("DAYS", days).replace("PAUSE", pause)


def test_points_in_time_stay_and_offsets_follow_their_arguments(template_runner: TemplateRunner) -> None:
    began = time.monotonic()
    template_runner.apply(times())
    assert time.monotonic() - began >= 0.2
    later = template_runner.attributes("time_offset.later")
    assert (later["rfc3339"], later["day"], later["unix"]) == ("2026-03-01T10:20:30Z", 1, 1772360430)
    made = template_runner.attributes("time_static.made")
    assert abs(datetime.now(UTC).timestamp() - made["unix"]) < 60
    assert not template_runner.plan(times()).has_changes

    changes = {change.address: change.action for change in template_runner.plan(times("2", "1h")).changes}
    assert changes == {"time_offset.later": "update", "time_sleep.pause": "update"}
    template_runner.apply(times("2", "1h"))
    assert template_runner.attributes("time_offset.later")["rfc3339"] == "2026-03-02T10:20:30Z"
    assert template_runner.attributes("time_static.made") == made


def test_a_rotation_that_is_due_makes_everything_anew(template_runner: TemplateRunner) -> None:
    def rotating(start: datetime) -> str:
        return f'resource "time_rotating" "r" {{\n rfc3339 = "{start:%Y-%m-%dT%H:%M:%SZ}"\n rotation_hours = 1\n}}\n'

    due = rotating(datetime.now(UTC) - timedelta(hours=2))
    template_runner.apply(due)
    assert [change.action for change in template_runner.plan(due).changes] == ["create"]
    fresh = rotating(datetime.now(UTC))
    template_runner.apply(fresh)
    assert not template_runner.plan(fresh).has_changes


def test_a_pause_ends_with_the_build(template_runner: TemplateRunner) -> None:
    template_runner.timeout = 4
    began = time.monotonic()
    with pytest.raises(SteadError):
        template_runner.apply(times(pause="1h"))
    assert time.monotonic() - began < 60


CLOUDINIT = """
data "cloudinit_config" "user" {
  part {
    filename     = "init.sh"
    content_type = "text/x-shellscript"
    content      = "#!/bin/sh\\necho hi"
  }
}
data "cloudinit_config" "plain" {
  gzip          = false
  base64_encode = false
  boundary      = "EDGE"
  part {
    content = "#cloud-config"
  }
}
resource "cloudinit_config" "kept" {
  gzip = false
  part {
    content = "x"
  }
}
"""


def test_user_data_is_rendered(template_runner: TemplateRunner) -> None:
    template_runner.apply(CLOUDINIT)
    packed = template_runner.attributes("data.cloudinit_config.user")["rendered"]
    document = gzip.decompress(base64.b64decode(packed)).decode()
    assert 'filename="init.sh"' in document
    assert "echo hi" in document
    plain = template_runner.attributes("data.cloudinit_config.plain")["rendered"]
    assert plain.startswith('Content-Type: multipart/mixed; boundary="EDGE"\nMIME-Version: 1.0\r\n\r\n--EDGE\r\n')
    assert plain.endswith("#cloud-config\r\n--EDGE--\r\n")
    assert b"MIMEBOUNDARY" in base64.b64decode(template_runner.attributes("cloudinit_config.kept")["rendered"])
    assert not template_runner.plan(CLOUDINIT).has_changes


def test_compressed_user_data_must_be_base64(template_runner: TemplateRunner) -> None:
    template = 'data "cloudinit_config" "c" {\n base64_encode = false\n part {\n  content = "x"\n }\n}\n'
    with pytest.raises(SteadError, match="as base64"):
        template_runner.plan(template)


TLS = """
resource "tls_private_key" "ca" {
  algorithm   = "ECDSA"
  ecdsa_curve = "P256"
}
resource "tls_self_signed_cert" "ca" {
  private_key_pem       = tls_private_key.ca.private_key_pem
  is_ca_certificate     = true
  set_subject_key_id    = true
  validity_period_hours = 48
  early_renewal_hours   = EARLY
  allowed_uses          = ["cert_signing", "crl_signing"]
  subject {
    common_name  = "Test authority"
    organization = "Stead"
    country      = "DE"
  }
}
resource "tls_private_key" "server" {
  algorithm = "RSA"
}
resource "tls_cert_request" "server" {
  private_key_pem = tls_private_key.server.private_key_pem
  dns_names       = ["dev.example.com"]
  ip_addresses    = ["10.0.0.1"]
  subject {
    common_name = "dev.example.com"
  }
}
resource "tls_locally_signed_cert" "server" {
  cert_request_pem      = tls_cert_request.server.cert_request_pem
  ca_private_key_pem    = tls_private_key.ca.private_key_pem
  ca_cert_pem           = tls_self_signed_cert.ca.cert_pem
  validity_period_hours = 24
  allowed_uses          = ["key_encipherment", "digital_signature", "server_auth"]
}
resource "tls_private_key" "ssh" {
  algorithm = "ED25519"
}
resource "tls_private_key" "odd" {
  algorithm = "ECDSA"
}
data "tls_public_key" "ssh" {
  private_key_openssh = tls_private_key.ssh.private_key_openssh
}
data "tls_certificate" "chain" {
  content = "${tls_locally_signed_cert.server.cert_pem}${tls_self_signed_cert.ca.cert_pem}"
}
"""


def tls(early: int = 0) -> str:
    return TLS.replace("EARLY", str(early))


def test_an_authority_signs_a_certificate_that_others_trust(template_runner: TemplateRunner) -> None:
    template_runner.apply(tls())
    attributes = template_runner.attributes
    authority = x509.load_pem_x509_certificate(attributes("tls_self_signed_cert.ca")["cert_pem"].encode())
    server = x509.load_pem_x509_certificate(attributes("tls_locally_signed_cert.server")["cert_pem"].encode())
    server.verify_directly_issued_by(authority)
    names = server.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["dev.example.com"]
    assert authority.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    verifier = PolicyBuilder().store(Store([authority])).build_server_verifier(x509.DNSName("dev.example.com"))
    assert verifier.verify(server, []) == [server, authority]

    chain = attributes("data.tls_certificate.chain")["certificates"]
    assert [item["is_ca"] for item in chain] == [False, True]
    assert chain[1]["subject"] == "CN=Test authority,O=Stead,C=DE"
    assert chain[0]["signature_algorithm"] == "ECDSA-SHA256"
    assert chain[0]["public_key_algorithm"] == "RSA"
    assert not template_runner.plan(tls()).has_changes


def test_keys_come_in_every_form_that_others_read(template_runner: TemplateRunner) -> None:
    template_runner.apply(tls())
    ssh = template_runner.attributes("tls_private_key.ssh")
    key = serialization.load_ssh_private_key(ssh["private_key_openssh"].encode(), password=None)
    public = key.public_key().public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH)
    assert ssh["public_key_openssh"] == public.decode() + "\n"
    assert ssh["public_key_fingerprint_sha256"].startswith("SHA256:")
    assert template_runner.attributes("data.tls_public_key.ssh")["public_key_openssh"] == ssh["public_key_openssh"]
    rsa = template_runner.attributes("tls_private_key.server")
    assert rsa["private_key_pem"].startswith("-----BEGIN RSA PRIVATE KEY-----")
    assert rsa["private_key_pem_pkcs8"].startswith("-----BEGIN PRIVATE KEY-----")
    odd = template_runner.attributes("tls_private_key.odd")  # OpenSSH has no P224
    assert (odd["private_key_openssh"], odd["public_key_openssh"]) == ("", "")
    assert odd["public_key_pem"].startswith("-----BEGIN PUBLIC KEY-----")


def test_a_certificate_is_renewed_before_its_end(template_runner: TemplateRunner) -> None:
    template_runner.apply(tls())
    changes = {change.address: change.action for change in template_runner.plan(tls(early=24)).changes}
    assert changes["tls_self_signed_cert.ca"] == "update"
    assert "tls_locally_signed_cert.server" not in changes
    changes = {change.address: change.action for change in template_runner.plan(tls(early=48)).changes}
    assert changes["tls_self_signed_cert.ca"] == "replace"
    assert changes["tls_locally_signed_cert.server"] == "replace"


def test_a_key_that_is_none_is_refused_without_showing_it(template_runner: TemplateRunner) -> None:
    template = """
        resource "tls_cert_request" "r" {
          private_key_pem = "hush-hush"
        }
    """
    with pytest.raises(SteadError, match="it is no key in PEM") as failure:
        template_runner.apply(template)
    assert "hush" not in str(failure.value) + template_runner.log
