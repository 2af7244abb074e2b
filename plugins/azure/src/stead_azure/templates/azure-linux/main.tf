terraform {
  required_providers {
    coder = {
      source = "coder/coder"
    }
    azurerm = {
      source = "hashicorp/azurerm"
    }
  }
}

provider "azurerm" {
  features {}
}

data "coder_workspace" "me" {}
data "coder_workspace_owner" "me" {}

data "coder_parameter" "location" {
  name         = "location"
  display_name = "Region"
  description  = "Where the machine and its disks are. It cannot be changed later."
  default      = "westeurope"
  mutable      = false
  order        = 1
}

data "coder_parameter" "size" {
  name         = "size"
  display_name = "Size"
  description  = "Size of the machine."
  default      = "Standard_D2s_v5"
  mutable      = true
  order        = 2
}

data "coder_parameter" "home_size" {
  name         = "home_size"
  display_name = "Home disk"
  description  = "Size of the home disk in GB. It can only grow."
  type         = "number"
  default      = 32
  mutable      = true
  order        = 3
  validation {
    min       = 4
    max       = 1024
    monotonic = "increasing"
  }
}

# The machine proves which one it is: no token stands in its data.
resource "coder_agent" "main" {
  auth = "azure-instance-identity"
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
    script       = "coder stat disk --path /home/${local.user}"
    interval     = 60
    timeout      = 5
    order        = 3
  }
}

locals {
  name = "stead-${substr(data.coder_workspace.me.id, 0, 8)}-${lower(data.coder_workspace.me.name)}"
  user = "coder"
}

# Nobody logs in with it: people come through Stead. Azure wants a key nevertheless.
resource "tls_private_key" "unused" {
  algorithm = "RSA"
  rsa_bits  = 2048
}

resource "azurerm_resource_group" "main" {
  name     = local.name
  location = data.coder_parameter.location.value
}

resource "azurerm_virtual_network" "main" {
  name                = "network"
  address_space       = ["10.0.0.0/24"]
  location            = azurerm_resource_group.main.location
  resource_group_name = azurerm_resource_group.main.name
}

resource "azurerm_subnet" "main" {
  name                 = "internal"
  resource_group_name  = azurerm_resource_group.main.name
  virtual_network_name = azurerm_virtual_network.main.name
  address_prefixes     = ["10.0.0.0/29"]
}

resource "azurerm_network_interface" "main" {
  name                = "interface"
  location            = azurerm_resource_group.main.location
  resource_group_name = azurerm_resource_group.main.name
  ip_configuration {
    name                          = "internal"
    subnet_id                     = azurerm_subnet.main.id
    private_ip_address_allocation = "Dynamic"
  }
}

resource "azurerm_managed_disk" "home" {
  name                 = "home"
  location             = azurerm_resource_group.main.location
  resource_group_name  = azurerm_resource_group.main.name
  storage_account_type = "StandardSSD_LRS"
  create_option        = "Empty"
  disk_size_gb         = data.coder_parameter.home_size.value
}

resource "azurerm_linux_virtual_machine" "main" {
  count = data.coder_workspace.me.start_count

  name                = "machine"
  computer_name       = substr(lower(data.coder_workspace.me.name), 0, 60)
  location            = azurerm_resource_group.main.location
  resource_group_name = azurerm_resource_group.main.name
  size                = data.coder_parameter.size.value
  admin_username      = local.user

  custom_data = base64encode(templatefile("${path.module}/cloud-init.yaml", {
    user        = local.user
    init_script = base64encode(coder_agent.main.init_script)
  }))

  network_interface_ids = [azurerm_network_interface.main.id]

  admin_ssh_key {
    username   = local.user
    public_key = tls_private_key.unused.public_key_openssh
  }
  os_disk {
    caching              = "ReadWrite"
    storage_account_type = "StandardSSD_LRS"
  }
  source_image_reference {
    publisher = "Canonical"
    offer     = "ubuntu-24_04-lts"
    sku       = "server"
    version   = "latest"
  }
}

resource "azurerm_virtual_machine_data_disk_attachment" "home" {
  count = data.coder_workspace.me.start_count

  virtual_machine_id = azurerm_linux_virtual_machine.main[0].id
  managed_disk_id    = azurerm_managed_disk.home.id
  lun                = 10
  caching            = "ReadWrite"
}

resource "coder_metadata" "machine" {
  count       = data.coder_workspace.me.start_count
  resource_id = azurerm_linux_virtual_machine.main[0].id
  item {
    key   = "size"
    value = data.coder_parameter.size.value
  }
  item {
    key   = "region"
    value = data.coder_parameter.location.value
  }
}

resource "coder_metadata" "home" {
  resource_id = azurerm_managed_disk.home.id
  item {
    key   = "size"
    value = "${data.coder_parameter.home_size.value} GB"
  }
}
