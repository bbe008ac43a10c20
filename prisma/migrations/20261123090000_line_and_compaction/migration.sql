-- Runs that wait in line for their thread, workers lost at one step, and logs whose deltas are compacted. Safe while
-- processes of the version before still run: columns are added with defaults, and none that they write is taken away.

-- AlterTable
ALTER TABLE "run" ADD COLUMN     "compacted" BOOLEAN NOT NULL DEFAULT false,
ADD COLUMN     "ended_at" TIMESTAMPTZ(3),
ADD COLUMN     "line" INTEGER,
ADD COLUMN     "lost" INTEGER NOT NULL DEFAULT 0,
ADD COLUMN     "pending_messages" JSONB,
ALTER COLUMN "first_event" DROP NOT NULL;

-- AlterTable
ALTER TABLE "thread" ADD COLUMN     "log_from" INTEGER NOT NULL DEFAULT 0;

UPDATE "run" SET "ended_at" = coalesce("completed_at", "cancelled_at", "failed_at", "created_at")
WHERE "status" IN ('CANCELLED', 'FAILED', 'COMPLETED', 'INCOMPLETE', 'EXPIRED');

-- Who stands in line is not to be claimed.
DROP INDEX "run_claim";
CREATE INDEX "run_claim" ON "run"("id") WHERE "owner" IS NULL AND "line" IS NULL AND "status" IN ('QUEUED', 'IN_PROGRESS');
CREATE INDEX "run_line" ON "run"("thread_id", "line") WHERE "line" IS NOT NULL;
CREATE INDEX "run_compact" ON "run"("ended_at") WHERE "ended_at" IS NOT NULL AND NOT "compacted";
