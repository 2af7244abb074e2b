"""A provider of Stead's as a process of its own, which Terraform starts for each step: the peer of a benchmark.

``peer_provider.py ADDRESS`` speaks go-plugin's handshake and serves until Terraform ends it.
"""

from __future__ import annotations

import base64
import json
import os
import sys
import tempfile
from concurrent import futures
from pathlib import Path

import grpc
from tf.gen import grpc_controller_pb2, grpc_controller_pb2_grpc, grpc_stdio_pb2_grpc, tfplugin_pb2_grpc
from tf.runner import _self_signed_cert

from stead.api.provider import BuildContext, Owner
from stead.plugins import PluginRegistry, builtin
from stead.terraform.journal import NoJournal
from stead.terraform.serving.servicer import Servicer
from stead.terraform.serving.session import Link, Session

CONTEXT = "STEAD_BENCH_CONTEXT"


class Controller(grpc_controller_pb2_grpc.GRPCControllerServicer):
    def Shutdown(self, request: object, context: object) -> object:  # noqa: N802 - the protocol names it
        del request, context
        os._exit(0)
        return grpc_controller_pb2.Empty()


class Stdio(grpc_stdio_pb2_grpc.GRPCStdioServicer):
    def StreamStdio(self, request: object, context: object) -> object:  # noqa: N802 - the protocol names it
        del request, context
        return iter(())


def build_context() -> BuildContext:
    values = json.loads(os.environ[CONTEXT])
    owner = Owner(id=values["owner_id"], name="bench", full_name="Bench", email="bench@localhost")
    return BuildContext(
        deployment=values["deployment"],
        workspace_id=values["workspace_id"],
        workspace_name=values["workspace_name"],
        build_id=values["build_id"],
        owner=owner,
        template_id=values["owner_id"],
        template_name="docker",
        template_version="v1",
        access_url="http://localhost:3000",
        parameters=values["parameters"],
        init_scripts=lambda _os, _arch: "sleep 600",
    )


def serve(address: str) -> None:
    registry = PluginRegistry(builtins={"builtin": builtin})
    registry.load()
    spec, settings = next(pair for pair in registry.providers() if pair[0].address == address)
    session = Session(build_context(), NoJournal())
    link = Link(spec, settings, session)
    server = grpc.server(futures.ThreadPoolExecutor(10))
    tfplugin_pb2_grpc.add_ProviderServicer_to_server(Servicer(lambda _peer: link), server)
    grpc_stdio_pb2_grpc.add_GRPCStdioServicer_to_server(Stdio(), server)
    grpc_controller_pb2_grpc.add_GRPCControllerServicer_to_server(Controller(), server)
    chain, credentials = _self_signed_cert()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "provider"
        server.add_secure_port(f"unix:{path}", credentials)
        server.start()
        print(f"1|6|unix|{path}|grpc|{base64.b64encode(chain).decode().rstrip('=')}", flush=True)
        server.wait_for_termination()


if __name__ == "__main__":
    serve(sys.argv[1])
