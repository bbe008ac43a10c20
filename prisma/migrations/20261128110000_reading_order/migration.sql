-- Files are read in turns of their stores, so that a large batch does not keep others waiting. Safe while processes of the
-- version before still run: they go on in the order of ids.

-- AlterTable
ALTER TABLE "vector_store_file" ADD COLUMN "turn" INTEGER NOT NULL DEFAULT 0;

-- Work to claim: few rows of many.
CREATE INDEX "vector_store_file_turn" ON "vector_store_file"("turn", "id") WHERE "owner" IS NULL AND "status" = 'IN_PROGRESS';
DROP INDEX "vector_store_file_claim";

-- What a reading has left that came to nothing: hardly ever a row. Chunks are stored step by step from this version on, and
-- found when their file is COMPLETED.
CREATE INDEX "vector_store_file_left_over" ON "vector_store_file"("id") WHERE "status" IN ('FAILED', 'CANCELLED') AND "chunks" > 0;
