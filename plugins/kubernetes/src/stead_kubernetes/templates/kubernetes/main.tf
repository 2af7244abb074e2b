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

variable "namespace" {
  type        = string
  description = "Namespace of the workspaces, which must exist; empty is the one of [plugins.kubernetes]."
  default     = ""
}

provider "kubernetes" {}

data "coder_provisioner" "me" {}
data "coder_workspace" "me" {}
data "coder_workspace_owner" "me" {}

data "coder_parameter" "image" {
  name         = "image"
  display_name = "Image"
  description  = "Any Linux image. It needs curl, wget, busybox or python3 to fetch the agent; nothing else."
  default      = "buildpack-deps:bookworm-scm"
  mutable      = true
  order        = 1
}

data "coder_parameter" "cpu" {
  name         = "cpu"
  display_name = "Processors"
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

data "coder_parameter" "memory" {
  name         = "memory"
  display_name = "Memory"
  description  = "In GiB."
  type         = "number"
  form_type    = "slider"
  default      = 4
  mutable      = true
  order        = 3
  validation {
    min = 1
    max = 64
  }
}

data "coder_parameter" "home" {
  name         = "home"
  display_name = "Home folder"
  description  = "Size in GiB."
  type         = "number"
  default      = 10
  mutable      = false
  order        = 4
  validation {
    min = 1
    max = 500
  }
}

locals {
  name      = "stead-${data.coder_workspace.me.id}"
  namespace = var.namespace == "" ? null : var.namespace
  labels = {
    "app.kubernetes.io/name"     = "stead-workspace"
    "app.kubernetes.io/instance" = local.name
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
  metadata {
    display_name = "Home"
    key          = "home"
    script       = "coder stat disk --path /home/coder"
    interval     = 60
    timeout      = 5
    order        = 3
  }
}

resource "kubernetes_persistent_volume_claim_v1" "home" {
  metadata {
    name      = "${local.name}-home"
    namespace = local.namespace
    labels    = local.labels
  }
  # Many storage classes make the volume with the first pod.
  wait_until_bound = false
  spec {
    access_modes = ["ReadWriteOnce"]
    resources {
      requests = {
        storage = "${data.coder_parameter.home.value}Gi"
      }
    }
  }
}

resource "kubernetes_deployment_v1" "workspace" {
  count = data.coder_workspace.me.start_count
  metadata {
    name      = local.name
    namespace = local.namespace
    labels    = local.labels
    annotations = {
      "stead.workspace" = "${data.coder_workspace_owner.me.name}/${data.coder_workspace.me.name}"
    }
  }
  spec {
    replicas = 1
    selector {
      match_labels = local.labels
    }
    # The home volume goes to one pod at a time.
    strategy {
      type = "Recreate"
    }
    template {
      metadata {
        labels = local.labels
      }
      spec {
        hostname                        = lower(data.coder_workspace.me.name)
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
            name  = "CODER_AGENT_TOKEN"
            value = coder_agent.main.token
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
              cpu    = data.coder_parameter.cpu.value
              memory = "${data.coder_parameter.memory.value}Gi"
            }
          }
          volume_mount {
            name       = "home"
            mount_path = "/home/coder"
          }
        }
        volume {
          name = "home"
          persistent_volume_claim {
            claim_name = kubernetes_persistent_volume_claim_v1.home.metadata[0].name
          }
        }
      }
    }
  }
}
