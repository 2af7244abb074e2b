"""The process that runs Terraform and serves providers to it. It has no keys, no database: it asks for all."""
