terraform {
  required_providers {
    coder = {
      source = "coder/coder"
    }
    docker = {
      source = "kreuzwerker/docker"
    }
  }
}

provider "docker" {}

data "coder_provisioner" "me" {}
data "coder_workspace" "me" {}
data "coder_workspace_owner" "me" {}

data "coder_parameter" "base" {
  name         = "base"
  display_name = "Base image"
  description  = "What the Dockerfile builds on. Needs useradd and python3."
  default      = "buildpack-deps:bookworm-scm"
  icon         = "/icon/docker.svg"
  mutable      = true
  order        = 1
}

data "coder_parameter" "memory" {
  name         = "memory"
  display_name = "Memory"
  description  = "Limit of the container, in GB."
  type         = "number"
  form_type    = "slider"
  default      = 2
  mutable      = true
  order        = 2
  validation {
    min = 1
    max = 16
  }
}

data "coder_parameter" "cpus" {
  name         = "cpus"
  display_name = "Processors"
  default      = "1"
  mutable      = true
  order        = 3
  option {
    name  = "One"
    value = "1"
  }
  option {
    name  = "Two"
    value = "2"
  }
  option {
    name  = "As many as there are"
    value = "0"
  }
}

data "coder_workspace_preset" "small" {
  name        = "Small"
  description = "For a look around."
  default     = true
  parameters = {
    (data.coder_parameter.memory.name) = "1"
    (data.coder_parameter.cpus.name)   = "1"
  }
}

data "coder_workspace_preset" "large" {
  name        = "Large"
  description = "For builds."
  parameters = {
    (data.coder_parameter.memory.name) = "8"
    (data.coder_parameter.cpus.name)   = "0"
  }
}

resource "coder_agent" "main" {
  arch = data.coder_provisioner.me.arch
  os   = "linux"
  env = {
    EDITOR = "vi"
  }

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

resource "coder_script" "site" {
  agent_id     = coder_agent.main.id
  display_name = "Site"
  icon         = "/icon/globe.svg"
  run_on_start = true
  script       = <<-EOT
    mkdir -p ~/site
    [ -e ~/site/index.html ] || cp /usr/local/share/workspace/index.html ~/site/
    nohup python3 -m http.server --bind 127.0.0.1 --directory ~/site 8080 >/tmp/site.log 2>&1 &
  EOT
}

resource "coder_app" "site" {
  agent_id     = coder_agent.main.id
  slug         = "site"
  display_name = "Site"
  icon         = "/icon/globe.svg"
  url          = "http://localhost:8080"
  healthcheck {
    url       = "http://localhost:8080"
    interval  = 10
    threshold = 6
  }
}

resource "docker_volume" "home" {
  name = "stead-${data.coder_workspace.me.id}-home"
  lifecycle {
    ignore_changes = all
  }
}

resource "docker_image" "workspace" {
  name = "stead-${data.coder_workspace.me.id}"
  build {
    context    = "./build"
    build_args = { BASE = data.coder_parameter.base.value }
  }
  triggers = {
    files = sha1(join("", [for file in sort(fileset(path.module, "build/**")) : filesha1("${path.module}/${file}")]))
    base  = data.coder_parameter.base.value
  }
}

resource "docker_container" "workspace" {
  count    = data.coder_workspace.me.start_count
  image    = docker_image.workspace.image_id
  name     = "stead-${data.coder_workspace_owner.me.name}-${lower(data.coder_workspace.me.name)}"
  hostname = lower(data.coder_workspace.me.name)
  restart  = "on-failure" # of the agent, which comes back then
  memory   = data.coder_parameter.memory.value * 1024
  cpus     = data.coder_parameter.cpus.value == "0" ? null : data.coder_parameter.cpus.value
  init     = true

  entrypoint = ["sh", "-c", replace(coder_agent.main.init_script, "/localhost|127\\.0\\.0\\.1/", "host.docker.internal")]
  env        = ["CODER_AGENT_TOKEN=${coder_agent.main.token}"]
  host {
    host = "host.docker.internal"
    ip   = "host-gateway"
  }
  volumes {
    container_path = "/home/coder"
    volume_name    = docker_volume.home.name
  }
}

resource "coder_metadata" "container" {
  count       = data.coder_workspace.me.start_count
  resource_id = docker_container.workspace[0].id
  icon        = "/icon/docker.svg"
  item {
    key   = "memory"
    value = "${data.coder_parameter.memory.value} GB"
  }
  item {
    key   = "address"
    value = docker_container.workspace[0].network_data[0].ip_address
  }
}

resource "coder_metadata" "image" {
  resource_id = docker_image.workspace.id
  item {
    key   = "base"
    value = data.coder_parameter.base.value
  }
}
