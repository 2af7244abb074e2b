terraform {
  required_providers {
    coder = {
      source = "coder/coder"
    }
    aws = {
      source = "hashicorp/aws"
    }
    cloudinit = {
      source = "hashicorp/cloudinit"
    }
  }
}

provider "aws" {
  region = data.coder_parameter.region.value
  default_tags {
    tags = {
      Owner     = data.coder_workspace_owner.me.name
      Workspace = data.coder_workspace.me.name
    }
  }
}

data "coder_workspace" "me" {}
data "coder_workspace_owner" "me" {}
data "aws_caller_identity" "me" {}

data "coder_parameter" "region" {
  name         = "region"
  display_name = "Region"
  description  = "Where the home disk lives. It cannot move later."
  default      = "us-east-1"
  mutable      = false
  order        = 1
  dynamic "option" {
    for_each = local.regions
    content {
      name  = option.value
      value = option.key
    }
  }
}

# The zones come from AWS itself: those of the region that has been chosen.
data "aws_availability_zones" "here" {
  state = "available"
}

data "coder_parameter" "zone" {
  name         = "zone"
  display_name = "Zone"
  description  = "A disk and its machine are in one zone. Where spot capacity runs out, another may have some."
  default      = data.aws_availability_zones.here.names[0]
  mutable      = false
  order        = 2
  dynamic "option" {
    for_each = data.aws_availability_zones.here.names
    content {
      name  = option.value
      value = option.value
    }
  }
}

data "coder_parameter" "instance_type" {
  name         = "instance_type"
  display_name = "Machine"
  description  = "The next start has a machine of this size."
  default      = "t3.medium"
  mutable      = true
  order        = 3
  dynamic "option" {
    for_each = local.machines
    content {
      name  = "${option.value} (${format("%.3f", provider::aws::hourly_price(option.key, data.coder_parameter.region.value))} USD per hour)"
      value = option.key
    }
  }
}

data "coder_parameter" "spot" {
  name         = "spot"
  display_name = "Spot"
  description  = "Spare capacity: much cheaper, and AWS may take it back. The home disk is safe."
  type         = "bool"
  default      = false
  mutable      = true
  order        = 4
}

data "coder_parameter" "home" {
  name         = "home"
  display_name = "Home"
  description  = "Size of the home disk in GB. It can grow."
  type         = "number"
  form_type    = "slider"
  default      = 20
  mutable      = true
  order        = 5
  validation {
    min       = 10
    max       = 500
    monotonic = "increasing"
  }
}

data "coder_workspace_preset" "thrifty" {
  name        = "Thrifty"
  description = "A small machine from spare capacity."
  default     = true
  parameters = {
    (data.coder_parameter.instance_type.name) = "t3.small"
    (data.coder_parameter.spot.name)          = "true"
  }
}

data "coder_workspace_preset" "steady" {
  name        = "Steady"
  description = "A machine for builds, on demand."
  parameters = {
    (data.coder_parameter.instance_type.name) = "t3.xlarge"
    (data.coder_parameter.spot.name)          = "false"
  }
}

locals {
  name    = "stead-${data.coder_workspace_owner.me.name}-${lower(data.coder_workspace.me.name)}"
  regions = { "us-east-1" = "US East (N. Virginia)", "us-west-2" = "US West (Oregon)", "eu-west-1" = "Europe (Ireland)", "eu-central-1" = "Europe (Frankfurt)" }
  machines = {
    "t3.small"  = "2 processors, 2 GB"
    "t3.medium" = "2 processors, 4 GB"
    "t3.large"  = "2 processors, 8 GB"
    "t3.xlarge" = "4 processors, 16 GB"
  }
  machine_per_day = 24 * provider::aws::hourly_price(data.coder_parameter.instance_type.value, data.coder_parameter.region.value)
  home_per_day    = 24 * provider::aws::disk_price("gp3", data.coder_parameter.home.value, data.coder_parameter.region.value)
}

data "aws_ami" "ubuntu" {
  most_recent = true
  owners      = ["099720109477"] # Canonical
  filter {
    name   = "name"
    values = ["ubuntu/images/hvm-ssd*/ubuntu-*-amd64-server-*"]
  }
}

data "aws_vpc" "default" {
  default = true
}

data "aws_subnet" "zone" {
  vpc_id            = data.aws_vpc.default.id
  availability_zone = data.coder_parameter.zone.value
  default_for_az    = true
}

# The machine proves which one it is, by its role: no token stands in its user data.
resource "coder_agent" "main" {
  auth = "aws-instance-identity"
  arch = "amd64"
  os   = "linux"

  metadata {
    display_name = "CPU"
    key          = "cpu"
    script       = "coder stat cpu"
    interval     = 10
    timeout      = 5
    order        = 1
  }
  metadata {
    display_name = "Memory"
    key          = "memory"
    script       = "coder stat mem"
    interval     = 10
    timeout      = 5
    order        = 2
  }
  metadata {
    display_name = "Home"
    key          = "home"
    script       = "coder stat disk --path /home/coder"
    interval     = 60
    timeout      = 5
    order        = 3
  }
}

resource "coder_script" "welcome" {
  agent_id     = coder_agent.main.id
  display_name = "Welcome"
  icon         = "/icon/aws.svg"
  run_on_start = true
  script       = "[ -e ~/README ] || echo 'Everything in this folder stays when the workspace stops.' >~/README"
}

# Nothing comes in: the agent opens its connections itself.
resource "aws_security_group" "workspace" {
  name_prefix = "${local.name}-"
  description = "Workspace ${data.coder_workspace.me.name}"
  vpc_id      = data.aws_vpc.default.id
  egress {
    from_port   = 0
    to_port     = 0
    protocol    = "-1"
    cidr_blocks = ["0.0.0.0/0"]
  }
}

data "aws_iam_policy_document" "machine" {
  statement {
    actions = ["sts:AssumeRole"]
    principals {
      type        = "Service"
      identifiers = ["ec2.amazonaws.com"]
    }
  }
}

# A role without any permission, by which the agent proves where it runs: give it what the workspaces need in the account.
resource "aws_iam_role" "workspace" {
  name_prefix        = "stead-"
  assume_role_policy = data.aws_iam_policy_document.machine.json
}

resource "aws_iam_instance_profile" "workspace" {
  name_prefix = "stead-"
  role        = aws_iam_role.workspace.name
}

resource "aws_ebs_volume" "home" {
  availability_zone = data.coder_parameter.zone.value
  size              = data.coder_parameter.home.value
  type              = "gp3"
  encrypted         = true
  tags              = { Name = "${local.name}-home" }
}

data "cloudinit_config" "user_data" {
  gzip          = false
  base64_encode = false
  boundary      = "//"

  part {
    filename     = "cloud-config.yaml"
    content_type = "text/cloud-config"
    content      = <<-EOT
      #cloud-config
      hostname: ${lower(data.coder_workspace.me.name)}
    EOT
  }
  part {
    filename     = "agent.sh"
    content_type = "text/x-shellscript"
    content      = <<-EOT
      #!/bin/sh
      # The disk may come a little later than the machine; its name in the system ends in its id.
      id=$(echo '${aws_ebs_volume.home.id}' | tr -d -)
      disk=
      for _ in $(seq 120); do
        disk=$(readlink -e "/dev/disk/by-id/nvme-Amazon_Elastic_Block_Store_$id" || readlink -e /dev/sdh || readlink -e /dev/xvdh) && break
        sleep 2
      done
      blkid "$disk" >/dev/null || mkfs.ext4 -q -L home "$disk"
      mkdir -p /home/coder
      mount "$disk" /home/coder
      resize2fs "$disk" >/dev/null 2>&1 || true
      id coder >/dev/null 2>&1 || useradd --uid 1500 --shell /bin/bash --home-dir /home/coder coder
      echo 'coder ALL=(ALL) NOPASSWD:ALL' >/etc/sudoers.d/coder
      chown coder:coder /home/coder
      exec sudo -u coder --set-home sh -c '${coder_agent.main.init_script}'
    EOT
  }
}

resource "aws_instance" "workspace" {
  count                       = data.coder_workspace.me.start_count
  ami                         = data.aws_ami.ubuntu.id
  instance_type               = data.coder_parameter.instance_type.value
  subnet_id                   = data.aws_subnet.zone.id
  vpc_security_group_ids      = [aws_security_group.workspace.id]
  associate_public_ip_address = true
  iam_instance_profile        = aws_iam_instance_profile.workspace.name
  user_data                   = data.cloudinit_config.user_data.rendered
  user_data_replace_on_change = true

  dynamic "instance_market_options" {
    for_each = data.coder_parameter.spot.value == "true" ? [1] : []
    content {
      market_type = "spot"
    }
  }
  metadata_options {
    http_tokens = "required"
  }
  root_block_device {
    volume_type = "gp3"
    volume_size = 20
    encrypted   = true
  }
  tags = { Name = local.name }

  # What belongs to a start stays for as long as it lasts.
  lifecycle {
    ignore_changes = [ami, user_data]
  }
}

resource "aws_volume_attachment" "home" {
  count                          = data.coder_workspace.me.start_count
  device_name                    = "/dev/sdh"
  instance_id                    = aws_instance.workspace[0].id
  volume_id                      = aws_ebs_volume.home.id
  stop_instance_before_detaching = true
}

resource "coder_metadata" "machine" {
  count       = data.coder_workspace.me.start_count
  resource_id = aws_instance.workspace[0].id
  icon        = "/icon/aws.svg"
  daily_cost  = ceil(local.machine_per_day)
  item {
    key   = "machine"
    value = data.coder_parameter.instance_type.value
  }
  item {
    key   = "bought"
    value = aws_instance.workspace[0].instance_lifecycle == "spot" ? "spot" : "on demand"
  }
  item {
    key   = "address"
    value = aws_instance.workspace[0].private_ip
  }
  item {
    key   = "cost"
    value = format("%.2f USD per day", local.machine_per_day)
  }
}

resource "coder_metadata" "home" {
  resource_id = aws_ebs_volume.home.id
  daily_cost  = ceil(local.home_per_day)
  item {
    key   = "size"
    value = "${aws_ebs_volume.home.size} GB"
  }
  item {
    key   = "account"
    value = data.aws_caller_identity.me.account_id
  }
}
