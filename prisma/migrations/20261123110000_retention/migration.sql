-- Deleted threads that may be forgotten: few rows of many. Safe while processes of the version before still run.

CREATE INDEX "thread_tombstone" ON "thread"("deleted_at") WHERE "deleted_at" IS NOT NULL;
