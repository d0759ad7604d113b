-- What the payer answered to the merchant's questions: a JSON list of {"question_id", "response"}. NULL until then.
ALTER TABLE invoices ADD COLUMN answers TEXT;
