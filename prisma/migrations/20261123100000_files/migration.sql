-- Stored files: where their bytes are, uploads that were announced, bytes that no file names, and the secret that links
-- are signed with. Safe while processes of the version before still run: they only read files.

-- AlterTable
ALTER TABLE "file" ADD COLUMN     "storage_key" TEXT COLLATE "C";
-- Nothing made files before; a row that somebody put there by hand names bytes that are not there.
UPDATE "file" SET "storage_key" = left(encode(sha256("id"::bytea), 'hex'), 40);
ALTER TABLE "file" ALTER COLUMN "storage_key" SET NOT NULL;

-- CreateTable
CREATE TABLE "upload" (
    "id" TEXT COLLATE "C" NOT NULL,
    "project_id" TEXT COLLATE "C" NOT NULL,
    "filename" TEXT NOT NULL,
    "purpose" TEXT NOT NULL,
    "content_type" TEXT,
    "bytes" BIGINT,
    "sha256" TEXT,
    "expires_after_seconds" INTEGER,
    "created_at" TIMESTAMPTZ(3) NOT NULL,
    "file_id" TEXT COLLATE "C",

    CONSTRAINT "upload_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "loose_bytes" (
    "storage_key" TEXT COLLATE "C" NOT NULL,
    "project_id" TEXT COLLATE "C" NOT NULL,
    "remove_at" TIMESTAMPTZ(3) NOT NULL,

    CONSTRAINT "loose_bytes_pkey" PRIMARY KEY ("storage_key")
);

-- CreateTable
CREATE TABLE "server_secret" (
    "name" TEXT NOT NULL,
    "value" TEXT NOT NULL,
    "created_at" TIMESTAMPTZ(3) NOT NULL,

    CONSTRAINT "server_secret_pkey" PRIMARY KEY ("name")
);

-- CreateIndex
CREATE UNIQUE INDEX "file_storage_key_key" ON "file"("storage_key");

-- CreateIndex
CREATE INDEX "upload_created_at_idx" ON "upload"("created_at");

-- CreateIndex
CREATE INDEX "loose_bytes_remove_at_idx" ON "loose_bytes"("remove_at");

-- Files that will expire: few rows of many.
CREATE INDEX "file_expiry" ON "file"("expires_at") WHERE "expires_at" IS NOT NULL;
