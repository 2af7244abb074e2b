terraform {
  required_providers {
    coder = {
      source = "coder/coder"
    }
    baremetal = {
      source = "stead/baremetal"
    }
  }
}

# The inventory and the key to sign in with are those of [plugins.baremetal].
provider "baremetal" {}

data "coder_provisioner" "me" {}
data "coder_workspace" "me" {}
data "coder_workspace_owner" "me" {}

resource "coder_agent" "main" {
  arch = data.coder_provisioner.me.arch
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

# The machine stays the workspace's while it is stopped, with all that is on it; deleting the workspace wipes it.
resource "baremetal_host" "workspace" {
  desired_status = data.coder_workspace.me.start_count == 1 ? "running" : "stopped"
  init_script    = coder_agent.main.init_script
  token          = coder_agent.main.token
}

resource "coder_metadata" "machine" {
  resource_id = baremetal_host.workspace.id
  icon        = "/icon/server.svg"
  item {
    key   = "machine"
    value = baremetal_host.workspace.name
  }
  item {
    key   = "address"
    value = baremetal_host.workspace.address
  }
}
