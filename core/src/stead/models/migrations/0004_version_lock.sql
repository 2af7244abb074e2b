-- The versions and checksums of the providers that Terraform installed for a template version's import.
ALTER TABLE template_versions ADD COLUMN dependency_lock ${BYTES};
