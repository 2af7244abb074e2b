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
}

data "coder_workspace" "me" {}
data "coder_workspace_owner" "me" {}

data "coder_parameter" "region" {
  name         = "region"
  display_name = "Region"
  description  = "Where the machine runs. It cannot move later."
  default      = "us-east-1"
  mutable      = false
  order        = 1
  option {
    name  = "US East (N. Virginia)"
    value = "us-east-1"
  }
  option {
    name  = "US West (Oregon)"
    value = "us-west-2"
  }
  option {
    name  = "Europe (Ireland)"
    value = "eu-west-1"
  }
  option {
    name  = "Europe (Frankfurt)"
    value = "eu-central-1"
  }
}

data "coder_parameter" "instance_type" {
  name         = "instance_type"
  display_name = "Machine"
  description  = "Changing it stops the machine and starts it again; its disk stays."
  default      = "t3.medium"
  mutable      = true
  order        = 2
  option {
    name  = "2 processors, 2 GB"
    value = "t3.small"
  }
  option {
    name  = "2 processors, 4 GB"
    value = "t3.medium"
  }
  option {
    name  = "2 processors, 8 GB"
    value = "t3.large"
  }
  option {
    name  = "4 processors, 16 GB"
    value = "t3.xlarge"
  }
}

data "aws_ami" "ubuntu" {
  most_recent = true
  owners      = ["099720109477"] # Canonical
  filter {
    name   = "name"
    values = ["ubuntu/images/hvm-ssd*/ubuntu-*-amd64-server-*"]
  }
  filter {
    name   = "architecture"
    values = ["x86_64"]
  }
}

resource "coder_agent" "main" {
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
    display_name = "Disk"
    key          = "disk"
    script       = "coder stat disk --path /"
    interval     = 60
    timeout      = 5
    order        = 3
  }
}

# The script runs at every boot, so that the agent comes back when the machine is started again.
data "cloudinit_config" "user_data" {
  gzip          = false
  base64_encode = false
  boundary      = "//"

  part {
    filename     = "cloud-config.yaml"
    content_type = "text/cloud-config"
    content      = <<-EOT
      #cloud-config
      cloud_final_modules:
        - [scripts-user, always]
      hostname: ${lower(data.coder_workspace.me.name)}
      users:
        - name: coder
          sudo: ALL=(ALL) NOPASSWD:ALL
          shell: /bin/bash
    EOT
  }
  part {
    filename     = "agent.sh"
    content_type = "text/x-shellscript"
    content      = <<-EOT
      #!/bin/sh
      export CODER_AGENT_TOKEN='${coder_agent.main.token}'
      exec sudo -u coder --preserve-env=CODER_AGENT_TOKEN --set-home sh -c '${coder_agent.main.init_script}'
    EOT
  }
}

resource "aws_instance" "workspace" {
  ami           = data.aws_ami.ubuntu.id
  instance_type = data.coder_parameter.instance_type.value
  user_data     = data.cloudinit_config.user_data.rendered

  metadata_options {
    http_tokens = "required"
  }
  tags = {
    Name = "stead-${data.coder_workspace_owner.me.name}-${lower(data.coder_workspace.me.name)}"
  }

  # A newer image is for new workspaces: this one has its owner's files on its disk.
  lifecycle {
    ignore_changes = [ami]
  }
}

resource "aws_ec2_instance_state" "workspace" {
  instance_id = aws_instance.workspace.id
  state       = data.coder_workspace.me.transition == "start" ? "running" : "stopped"
}

resource "coder_metadata" "workspace" {
  resource_id = aws_instance.workspace.id
  item {
    key   = "machine"
    value = aws_instance.workspace.instance_type
  }
  item {
    key   = "region"
    value = data.coder_parameter.region.value
  }
  item {
    key   = "disk"
    value = "${aws_instance.workspace.root_block_device[0].volume_size} GB"
  }
}
