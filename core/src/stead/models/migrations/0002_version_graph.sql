-- Terraform's graph of a template version: found at the import, so that no build has to ask for it again.
ALTER TABLE template_versions ADD COLUMN graph TEXT;
