-- Ids sort as bytes (COLLATE "C"), which is the order they were minted in; the engine that writes and compares
-- migrations sees neither collations, nor fill factors, nor partial indexes: those are written by hand.

-- CreateTable
CREATE TABLE "project" (
    "id" TEXT COLLATE "C" NOT NULL,
    "name" TEXT NOT NULL,
    "created_at" TIMESTAMPTZ(3) NOT NULL,

    CONSTRAINT "project_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "api_key" (
    "id" TEXT COLLATE "C" NOT NULL,
    "project_id" TEXT COLLATE "C" NOT NULL,
    "name" TEXT NOT NULL,
    "hash" TEXT NOT NULL,
    "hint" TEXT NOT NULL,
    "scopes" TEXT[],
    "created_at" TIMESTAMPTZ(3) NOT NULL,
    "revoked_at" TIMESTAMPTZ(3),

    CONSTRAINT "api_key_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "idempotency_key" (
    "project_id" TEXT COLLATE "C" NOT NULL,
    "mutation" TEXT NOT NULL,
    "key" TEXT NOT NULL,
    "input_hash" TEXT NOT NULL,
    "result_id" TEXT COLLATE "C" NOT NULL,
    "done" BOOLEAN NOT NULL,
    "created_at" TIMESTAMPTZ(3) NOT NULL,

    CONSTRAINT "idempotency_key_pkey" PRIMARY KEY ("project_id","mutation","key")
);

-- CreateTable
CREATE TABLE "assistant" (
    "id" TEXT COLLATE "C" NOT NULL,
    "project_id" TEXT COLLATE "C" NOT NULL,
    "name" TEXT,
    "description" TEXT,
    "model" TEXT NOT NULL,
    "instructions" TEXT,
    "tools" JSONB NOT NULL,
    "tool_resources" JSONB NOT NULL,
    "response_format" JSONB NOT NULL,
    "temperature" DOUBLE PRECISION,
    "top_p" DOUBLE PRECISION,
    "reasoning_effort" TEXT,
    "metadata" JSONB NOT NULL,
    "created_at" TIMESTAMPTZ(3) NOT NULL,
    "updated_at" TIMESTAMPTZ(3) NOT NULL,

    CONSTRAINT "assistant_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "thread" (
    "id" TEXT COLLATE "C" NOT NULL,
    "project_id" TEXT COLLATE "C" NOT NULL,
    "title" TEXT,
    "metadata" JSONB NOT NULL,
    "tool_resources" JSONB NOT NULL,
    "active_run_id" TEXT COLLATE "C",
    "created_at" TIMESTAMPTZ(3) NOT NULL,
    "updated_at" TIMESTAMPTZ(3) NOT NULL,
    "deleted_at" TIMESTAMPTZ(3),

    CONSTRAINT "thread_pkey" PRIMARY KEY ("id")
) WITH (fillfactor = 80);

-- CreateTable
CREATE TABLE "message" (
    "id" TEXT COLLATE "C" NOT NULL,
    "project_id" TEXT COLLATE "C" NOT NULL,
    "thread_id" TEXT COLLATE "C" NOT NULL,
    "position" INTEGER NOT NULL,
    "role" TEXT NOT NULL,
    "status" TEXT NOT NULL,
    "content" JSONB NOT NULL,
    "attachments" JSONB NOT NULL,
    "assistant_id" TEXT COLLATE "C",
    "run_id" TEXT COLLATE "C",
    "incomplete_reason" TEXT,
    "metadata" JSONB NOT NULL,
    "created_at" TIMESTAMPTZ(3) NOT NULL,
    "completed_at" TIMESTAMPTZ(3),
    "incomplete_at" TIMESTAMPTZ(3),

    CONSTRAINT "message_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "run" (
    "id" TEXT COLLATE "C" NOT NULL,
    "project_id" TEXT COLLATE "C" NOT NULL,
    "thread_id" TEXT COLLATE "C" NOT NULL,
    "assistant_id" TEXT COLLATE "C" NOT NULL,
    "status" TEXT NOT NULL,
    "config" JSONB NOT NULL,
    "metadata" JSONB NOT NULL,
    "required_action" JSONB,
    "last_error" JSONB,
    "incomplete_reason" TEXT,
    "usage" JSONB,
    "attempt" INTEGER NOT NULL DEFAULT 1,
    "first_event" INTEGER NOT NULL,
    "last_event" INTEGER,
    "created_at" TIMESTAMPTZ(3) NOT NULL,
    "started_at" TIMESTAMPTZ(3),
    "expires_at" TIMESTAMPTZ(3),
    "completed_at" TIMESTAMPTZ(3),
    "cancelled_at" TIMESTAMPTZ(3),
    "failed_at" TIMESTAMPTZ(3),
    "cancel_requested_at" TIMESTAMPTZ(3),
    "owner" TEXT,
    "epoch" INTEGER NOT NULL DEFAULT 0,
    "lease_until" TIMESTAMPTZ(3),

    CONSTRAINT "run_pkey" PRIMARY KEY ("id")
) WITH (fillfactor = 80);

-- CreateTable
CREATE TABLE "run_step" (
    "id" TEXT COLLATE "C" NOT NULL,
    "project_id" TEXT COLLATE "C" NOT NULL,
    "thread_id" TEXT COLLATE "C" NOT NULL,
    "run_id" TEXT COLLATE "C" NOT NULL,
    "position" INTEGER NOT NULL,
    "turn" INTEGER NOT NULL,
    "type" TEXT NOT NULL,
    "status" TEXT NOT NULL,
    "message_id" TEXT COLLATE "C",
    "tool_calls" JSONB,
    "usage" JSONB,
    "last_error" JSONB,
    "dropped_messages" INTEGER NOT NULL DEFAULT 0,
    "created_at" TIMESTAMPTZ(3) NOT NULL,
    "completed_at" TIMESTAMPTZ(3),
    "cancelled_at" TIMESTAMPTZ(3),
    "failed_at" TIMESTAMPTZ(3),
    "expired_at" TIMESTAMPTZ(3),

    CONSTRAINT "run_step_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "event" (
    "thread_id" TEXT COLLATE "C" NOT NULL,
    "number" INTEGER NOT NULL,
    "run_id" TEXT COLLATE "C",
    "type" TEXT NOT NULL,
    "payload" TEXT NOT NULL,
    "at" TIMESTAMPTZ(3) NOT NULL,

    CONSTRAINT "event_pkey" PRIMARY KEY ("thread_id","number")
);

-- CreateTable
CREATE TABLE "file" (
    "id" TEXT COLLATE "C" NOT NULL,
    "project_id" TEXT COLLATE "C" NOT NULL,
    "filename" TEXT NOT NULL,
    "bytes" BIGINT NOT NULL,
    "content_type" TEXT NOT NULL,
    "sha256" TEXT NOT NULL,
    "purpose" TEXT NOT NULL,
    "created_at" TIMESTAMPTZ(3) NOT NULL,
    "expires_at" TIMESTAMPTZ(3),

    CONSTRAINT "file_pkey" PRIMARY KEY ("id")
);

-- CreateIndex
CREATE UNIQUE INDEX "api_key_hash_key" ON "api_key"("hash");

-- CreateIndex
CREATE INDEX "api_key_project_id_id_idx" ON "api_key"("project_id", "id");

-- CreateIndex
CREATE INDEX "idempotency_key_created_at_idx" ON "idempotency_key"("created_at");

-- CreateIndex
CREATE INDEX "assistant_project_id_id_idx" ON "assistant"("project_id", "id");

-- CreateIndex
CREATE INDEX "thread_project_id_id_idx" ON "thread"("project_id", "id");

-- CreateIndex
CREATE INDEX "message_run_id_position_idx" ON "message"("run_id", "position");

-- CreateIndex
CREATE UNIQUE INDEX "message_thread_id_position_key" ON "message"("thread_id", "position");

-- CreateIndex
CREATE INDEX "run_project_id_id_idx" ON "run"("project_id", "id");

-- CreateIndex
CREATE INDEX "run_thread_id_id_idx" ON "run"("thread_id", "id");

-- CreateIndex
CREATE INDEX "run_assistant_id_id_idx" ON "run"("assistant_id", "id");

-- CreateIndex
CREATE UNIQUE INDEX "run_step_run_id_position_key" ON "run_step"("run_id", "position");

-- CreateIndex
CREATE INDEX "file_project_id_id_idx" ON "file"("project_id", "id");

-- Work to claim, leases that ran out, runs to expire: few rows of many.
CREATE INDEX "run_claim" ON "run"("id") WHERE "owner" IS NULL AND "status" IN ('QUEUED', 'IN_PROGRESS');
CREATE INDEX "run_lease" ON "run"("lease_until") WHERE "owner" IS NOT NULL;
CREATE INDEX "run_expiry" ON "run"("expires_at") WHERE "expires_at" IS NOT NULL;

-- AddForeignKey
ALTER TABLE "api_key" ADD CONSTRAINT "api_key_project_id_fkey" FOREIGN KEY ("project_id") REFERENCES "project"("id") ON DELETE RESTRICT ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "message" ADD CONSTRAINT "message_thread_id_fkey" FOREIGN KEY ("thread_id") REFERENCES "thread"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "run" ADD CONSTRAINT "run_thread_id_fkey" FOREIGN KEY ("thread_id") REFERENCES "thread"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "run_step" ADD CONSTRAINT "run_step_run_id_fkey" FOREIGN KEY ("run_id") REFERENCES "run"("id") ON DELETE CASCADE ON UPDATE CASCADE;
