terraform {
  required_providers {
    coder = { source = "coder/coder" }
    acme  = { source = "example/acme" }
  }
}

data "coder_workspace" "me" {}

data "coder_parameter" "memory" {
  name         = "memory"
  display_name = "Memory"
  type         = "number"
  default      = 4
  mutable      = true
  validation {
    min = 1
    max = 64
  }
}

resource "coder_agent" "main" {
  os   = "linux"
  arch = "amd64"
}

resource "acme_machine" "workspace" {
  count     = data.coder_workspace.me.start_count
  name      = "w-${data.coder_workspace.me.id}"
  memory    = data.coder_parameter.memory.value
  user_data = coder_agent.main.init_script
}
