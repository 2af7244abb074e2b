# A workspace as plain processes on the machine where Stead runs, to try Stead out.
# It is isolated from nothing. See README.md.

terraform {
  required_providers {
    coder = {
      source = "coder/coder"
    }
    host = {
      source = "stead/host"
    }
  }
}

data "coder_provisioner" "me" {}

data "coder_workspace" "me" {}

data "coder_workspace_owner" "me" {}

resource "coder_agent" "main" {
  os   = data.coder_provisioner.me.os
  arch = data.coder_provisioner.me.arch

  env = {
    GIT_AUTHOR_NAME     = coalesce(data.coder_workspace_owner.me.full_name, data.coder_workspace_owner.me.name)
    GIT_AUTHOR_EMAIL    = data.coder_workspace_owner.me.email
    GIT_COMMITTER_NAME  = coalesce(data.coder_workspace_owner.me.full_name, data.coder_workspace_owner.me.name)
    GIT_COMMITTER_EMAIL = data.coder_workspace_owner.me.email
  }

  metadata {
    key          = "cpu"
    display_name = "CPU of this machine"
    script       = "coder stat cpu --host"
    interval     = 10
    timeout      = 5
    order        = 1
  }

  metadata {
    key          = "memory"
    display_name = "Memory of this machine"
    script       = "coder stat mem --host"
    interval     = 10
    timeout      = 5
    order        = 2
  }

  metadata {
    key          = "disk"
    display_name = "Disk"
    script       = "coder stat disk --path $HOME"
    interval     = 60
    timeout      = 5
    order        = 3
  }
}

# Stays while the workspace is stopped, and is deleted with the workspace.
resource "host_home" "home" {
  name = data.coder_workspace.me.id
}

resource "host_workspace" "main" {
  count   = data.coder_workspace.me.start_count
  name    = data.coder_workspace.me.name
  home    = host_home.home.path
  command = ["sh", "-c", coder_agent.main.init_script]
  env = {
    CODER_AGENT_TOKEN = coder_agent.main.token
  }
}

resource "coder_metadata" "home" {
  resource_id = host_home.home.id
  item {
    key   = "path"
    value = host_home.home.path
  }
}
