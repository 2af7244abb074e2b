-- How much log an agent has left, counted as it comes rather than summed over its lines each time.
ALTER TABLE agents ADD COLUMN log_size INTEGER NOT NULL DEFAULT 0;
