terraform {
  required_providers {
    coder = {
      source = "coder/coder"
    }
    kubernetes = {
      source = "hashicorp/kubernetes"
    }
  }
}

variable "storage_class" {
  type        = string
  description = "Storage class of the home folders; empty is the cluster's default."
  default     = ""
}

variable "cost_of_cpu" {
  type        = number
  description = "Credits for a processor in a day. Clusters have no public price: python -m stead_kubernetes.prices helps."
  default     = 1
}

variable "cost_of_gib" {
  type        = number
  description = "Credits for a GiB of memory in a day."
  default     = 0.25
}

provider "kubernetes" {}

data "coder_provisioner" "me" {}
data "coder_workspace" "me" {}
data "coder_workspace_owner" "me" {}

locals {
  sizes = {
    small  = { cpu = 1, memory = 2 }
    medium = { cpu = 2, memory = 8 }
    large  = { cpu = 8, memory = 32 }
  }
  size = local.sizes[data.coder_parameter.size.value]
  name = "stead-${data.coder_workspace.me.id}"
  labels = {
    "app.kubernetes.io/name"     = "stead-workspace"
    "app.kubernetes.io/instance" = local.name
  }
}

data "coder_parameter" "image" {
  name         = "image"
  display_name = "Image"
  description  = "Any Linux image. It needs curl, wget, busybox or python3 to fetch the agent; nothing else."
  default      = "buildpack-deps:bookworm-scm"
  mutable      = true
  order        = 1
}

data "coder_parameter" "size" {
  name         = "size"
  display_name = "Size"
  description  = "What the pod is sure of, and its limit."
  form_type    = "dropdown"
  default      = "small"
  mutable      = true
  order        = 2
  dynamic "option" {
    for_each = local.sizes
    content {
      name  = "${title(option.key)} (${option.value.cpu} processors, ${option.value.memory} GiB)"
      value = option.key
    }
  }
}

data "coder_parameter" "home" {
  name         = "home"
  display_name = "Home folder"
  description  = "Size in GiB. It can grow where the storage class allows it."
  type         = "number"
  form_type    = "slider"
  default      = 10
  mutable      = true
  order        = 3
  validation {
    min       = 1
    max       = 500
    monotonic = "increasing"
  }
}

data "coder_parameter" "outside" {
  name         = "outside"
  display_name = "Network"
  description  = "What the workspace may reach. Other pods never reach it."
  default      = "all"
  mutable      = true
  order        = 4
  option {
    name  = "Everything"
    value = "all"
  }
  option {
    name  = "Not the cluster's other pods"
    value = "public"
  }
}

data "coder_workspace_preset" "light" {
  name    = "Light"
  default = true
  parameters = {
    size = "small"
    home = "10"
  }
}

data "coder_workspace_preset" "heavy" {
  name = "Heavy"
  parameters = {
    size = "large"
    home = "100"
  }
}

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
}

# All of the workspace is in a namespace of its own, and goes with it.
resource "kubernetes_namespace_v1" "workspace" {
  metadata {
    name   = local.name
    labels = local.labels
  }
}

resource "kubernetes_resource_quota_v1" "workspace" {
  metadata {
    name      = "workspace"
    namespace = kubernetes_namespace_v1.workspace.metadata[0].name
  }
  spec {
    hard = {
      "pods"            = "10"
      "limits.cpu"      = local.size.cpu * 2
      "limits.memory"   = "${local.size.memory * 2}Gi"
      "services"        = "5"
      "requests.storage" = "${data.coder_parameter.home.value * 2}Gi"
    }
  }
}

resource "kubernetes_network_policy_v1" "workspace" {
  metadata {
    name      = "workspace"
    namespace = kubernetes_namespace_v1.workspace.metadata[0].name
  }
  spec {
    pod_selector {}
    policy_types = ["Ingress", "Egress"]
    ingress {
      from {
        pod_selector {}
      }
    }
    egress {
      to {
        ip_block {
          cidr   = "0.0.0.0/0"
          except = data.coder_parameter.outside.value == "public" ? ["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16"] : []
        }
      }
    }
    # Names are resolved by pods of the cluster.
    egress {
      ports {
        port     = "53"
        protocol = "UDP"
      }
    }
  }
}

resource "kubernetes_service_account_v1" "workspace" {
  metadata {
    name      = "workspace"
    namespace = kubernetes_namespace_v1.workspace.metadata[0].name
  }
  automount_service_account_token = false
}

resource "kubernetes_secret_v1" "agent" {
  metadata {
    name      = "agent"
    namespace = kubernetes_namespace_v1.workspace.metadata[0].name
  }
  data = {
    token = coder_agent.main.token
  }
}

resource "kubernetes_config_map_v1" "welcome" {
  metadata {
    name      = "welcome"
    namespace = kubernetes_namespace_v1.workspace.metadata[0].name
  }
  data = {
    "welcome.txt" = "Workspace ${data.coder_workspace.me.name} of ${data.coder_workspace_owner.me.name}\n"
  }
}

resource "kubernetes_persistent_volume_claim_v1" "home" {
  metadata {
    name      = "home"
    namespace = kubernetes_namespace_v1.workspace.metadata[0].name
  }
  wait_until_bound = false
  spec {
    access_modes       = ["ReadWriteOnce"]
    storage_class_name = var.storage_class == "" ? null : var.storage_class
    resources {
      requests = {
        storage = "${data.coder_parameter.home.value}Gi"
      }
    }
  }
  depends_on = [kubernetes_resource_quota_v1.workspace]
}

resource "kubernetes_pod_v1" "workspace" {
  count = data.coder_workspace.me.start_count
  metadata {
    name      = "workspace"
    namespace = kubernetes_namespace_v1.workspace.metadata[0].name
    labels    = local.labels
  }
  spec {
    hostname                        = lower(data.coder_workspace.me.name)
    service_account_name            = kubernetes_service_account_v1.workspace.metadata[0].name
    automount_service_account_token = false
    security_context {
      run_as_user     = "1000"
      run_as_group    = "1000"
      fs_group        = "1000"
      run_as_non_root = true
    }
    container {
      name    = "dev"
      image   = data.coder_parameter.image.value
      command = ["sh", "-c", coder_agent.main.init_script]
      env {
        name = "CODER_AGENT_TOKEN"
        value_from {
          secret_key_ref {
            name = kubernetes_secret_v1.agent.metadata[0].name
            key  = "token"
          }
        }
      }
      env {
        name  = "HOME"
        value = "/home/coder"
      }
      resources {
        requests = {
          cpu    = "250m"
          memory = "512Mi"
        }
        limits = {
          cpu    = local.size.cpu
          memory = "${local.size.memory}Gi"
        }
      }
      volume_mount {
        name       = "home"
        mount_path = "/home/coder"
      }
      volume_mount {
        name       = "welcome"
        mount_path = "/etc/stead"
        read_only  = true
      }
    }
    volume {
      name = "home"
      persistent_volume_claim {
        claim_name = kubernetes_persistent_volume_claim_v1.home.metadata[0].name
      }
    }
    volume {
      name = "welcome"
      config_map {
        name = kubernetes_config_map_v1.welcome.metadata[0].name
      }
    }
  }
  depends_on = [kubernetes_network_policy_v1.workspace, kubernetes_resource_quota_v1.workspace]
}

resource "coder_metadata" "pod" {
  count       = data.coder_workspace.me.start_count
  resource_id = kubernetes_pod_v1.workspace[0].id
  daily_cost  = ceil(local.size.cpu * var.cost_of_cpu + local.size.memory * var.cost_of_gib)
  item {
    key   = "Namespace"
    value = local.name
  }
  item {
    key   = "Size"
    value = "${local.size.cpu} processors, ${local.size.memory} GiB"
  }
}
