-- Vector stores: their files, the text that was read out of them, and the chunks that are found. Safe while processes of
-- the version before still run: they know nothing of these tables.

-- CreateTable
CREATE TABLE "vector_store" (
    "id" TEXT COLLATE "C" NOT NULL,
    "project_id" TEXT COLLATE "C" NOT NULL,
    "name" TEXT,
    "metadata" JSONB NOT NULL,
    "expires_after_days" INTEGER,
    "embedder" TEXT,
    "dimensions" INTEGER,
    "chunks" INTEGER NOT NULL DEFAULT 0,
    "words" BIGINT NOT NULL DEFAULT 0,
    "usage_bytes" BIGINT NOT NULL DEFAULT 0,
    "version" INTEGER NOT NULL DEFAULT 0,
    "indexed" BOOLEAN NOT NULL DEFAULT false,
    "created_at" TIMESTAMPTZ(3) NOT NULL,
    "last_active_at" TIMESTAMPTZ(3) NOT NULL,
    "expires_at" TIMESTAMPTZ(3),
    "deleted_at" TIMESTAMPTZ(3),

    CONSTRAINT "vector_store_pkey" PRIMARY KEY ("id")
) WITH (fillfactor = 70);

-- CreateTable
CREATE TABLE "vector_store_file" (
    "id" TEXT COLLATE "C" NOT NULL,
    "project_id" TEXT COLLATE "C" NOT NULL,
    "vector_store_id" TEXT COLLATE "C" NOT NULL,
    "file_id" TEXT COLLATE "C" NOT NULL,
    "batch_id" TEXT COLLATE "C",
    "filename" TEXT NOT NULL,
    "status" TEXT NOT NULL,
    "last_error" JSONB,
    "attributes" JSONB NOT NULL,
    "chunking" JSONB NOT NULL,
    "chunks" INTEGER NOT NULL DEFAULT 0,
    "usage_bytes" BIGINT NOT NULL DEFAULT 0,
    "created_at" TIMESTAMPTZ(3) NOT NULL,
    "failures" INTEGER NOT NULL DEFAULT 0,
    "lost" INTEGER NOT NULL DEFAULT 0,
    "retry_at" TIMESTAMPTZ(3),
    "indexed_epoch" INTEGER,
    "owner" TEXT,
    "epoch" INTEGER NOT NULL DEFAULT 0,
    "lease_until" TIMESTAMPTZ(3),

    CONSTRAINT "vector_store_file_pkey" PRIMARY KEY ("id")
) WITH (fillfactor = 80);

-- CreateTable
CREATE TABLE "vector_store_file_batch" (
    "id" TEXT COLLATE "C" NOT NULL,
    "project_id" TEXT COLLATE "C" NOT NULL,
    "vector_store_id" TEXT COLLATE "C" NOT NULL,
    "created_at" TIMESTAMPTZ(3) NOT NULL,
    "cancelled_at" TIMESTAMPTZ(3),

    CONSTRAINT "vector_store_file_batch_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "extracted_text" (
    "vector_store_file_id" TEXT COLLATE "C" NOT NULL,
    "start_index" INTEGER NOT NULL,
    "text" TEXT NOT NULL,

    CONSTRAINT "extracted_text_pkey" PRIMARY KEY ("vector_store_file_id","start_index")
);

-- CreateTable
CREATE TABLE "chunk" (
    "vector_store_file_id" TEXT COLLATE "C" NOT NULL,
    "number" INTEGER NOT NULL,
    "vector_store_id" TEXT COLLATE "C" NOT NULL,
    "text" TEXT NOT NULL,
    "location" JSONB NOT NULL,
    "pages" JSONB,
    "words" INTEGER NOT NULL,
    "lexemes" tsvector NOT NULL,
    "embedding" BYTEA NOT NULL,

    CONSTRAINT "chunk_pkey" PRIMARY KEY ("vector_store_file_id","number")
);

-- CreateTable
CREATE TABLE "store_lexeme" (
    "vector_store_id" TEXT COLLATE "C" NOT NULL,
    "lexeme" TEXT COLLATE "C" NOT NULL,
    "chunks" INTEGER NOT NULL,

    CONSTRAINT "store_lexeme_pkey" PRIMARY KEY ("vector_store_id","lexeme")
) WITH (fillfactor = 70);

-- CreateIndex
CREATE INDEX "vector_store_project_id_id_idx" ON "vector_store"("project_id", "id");

-- CreateIndex
CREATE INDEX "vector_store_file_vector_store_id_id_idx" ON "vector_store_file"("vector_store_id", "id");

-- CreateIndex
CREATE INDEX "vector_store_file_file_id_vector_store_id_idx" ON "vector_store_file"("file_id", "vector_store_id");

-- CreateIndex
CREATE INDEX "vector_store_file_batch_id_id_idx" ON "vector_store_file"("batch_id", "id");

-- CreateIndex
CREATE UNIQUE INDEX "vector_store_file_vector_store_id_file_id_key" ON "vector_store_file"("vector_store_id", "file_id");

-- CreateIndex
CREATE INDEX "vector_store_file_batch_vector_store_id_idx" ON "vector_store_file_batch"("vector_store_id");

-- CreateIndex
CREATE INDEX "chunk_vector_store_id_idx" ON "chunk"("vector_store_id");

-- CreateIndex
CREATE INDEX "chunk_lexemes_idx" ON "chunk" USING GIN ("lexemes");

-- AddForeignKey
ALTER TABLE "vector_store_file" ADD CONSTRAINT "vector_store_file_vector_store_id_fkey" FOREIGN KEY ("vector_store_id") REFERENCES "vector_store"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "vector_store_file" ADD CONSTRAINT "vector_store_file_file_id_fkey" FOREIGN KEY ("file_id") REFERENCES "file"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "vector_store_file_batch" ADD CONSTRAINT "vector_store_file_batch_vector_store_id_fkey" FOREIGN KEY ("vector_store_id") REFERENCES "vector_store"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "extracted_text" ADD CONSTRAINT "extracted_text_vector_store_file_id_fkey" FOREIGN KEY ("vector_store_file_id") REFERENCES "vector_store_file"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "chunk" ADD CONSTRAINT "chunk_vector_store_file_id_fkey" FOREIGN KEY ("vector_store_file_id") REFERENCES "vector_store_file"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- Work to claim, and leases that ran out: few rows of many.
CREATE INDEX "vector_store_file_claim" ON "vector_store_file"("id") WHERE "owner" IS NULL AND "status" = 'IN_PROGRESS';
CREATE INDEX "vector_store_file_lease" ON "vector_store_file"("lease_until") WHERE "owner" IS NOT NULL;
-- Stores that expire, and those that are to be removed.
CREATE INDEX "vector_store_expiry" ON "vector_store"("expires_at") WHERE "expires_at" IS NOT NULL;
CREATE INDEX "vector_store_removal" ON "vector_store"("deleted_at") WHERE "deleted_at" IS NOT NULL;

-- A search reads the lexemes of thousands of rows, and text and vector of few: the former stay in the row, the latter
-- leave it, and numbers gain nothing from being compressed.
ALTER TABLE "chunk" ALTER COLUMN "lexemes" SET STORAGE MAIN;
ALTER TABLE "chunk" ALTER COLUMN "embedding" SET STORAGE EXTERNAL;

-- What a store knows of its chunks is kept up here and not by those who write them: rows also go with their file, by a
-- cascade, and a count that is off by one ranks wrongly for ever. The store's row is locked first, so transactions that
-- change one store take turns, and never meet in the rows of its lexemes. The order of locks is: file, file in a store,
-- store.
CREATE FUNCTION "count_chunks"() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  sign integer := CASE TG_OP WHEN 'DELETE' THEN -1 ELSE 1 END;
BEGIN
  PERFORM 1 FROM vector_store WHERE id IN (SELECT vector_store_id FROM moved) ORDER BY id FOR NO KEY UPDATE;
  UPDATE vector_store s SET chunks = s.chunks + sign * m.chunks, words = s.words + sign * m.words,
    usage_bytes = s.usage_bytes + sign * m.bytes, version = s.version + 1
  FROM (
    SELECT vector_store_id, count(*)::integer AS chunks, sum(words) AS words,
      sum(octet_length(text) + octet_length(embedding)) AS bytes
    FROM moved GROUP BY 1
  ) m WHERE s.id = m.vector_store_id;
  IF TG_OP = 'INSERT' THEN
    INSERT INTO store_lexeme AS l (vector_store_id, lexeme, chunks)
    SELECT m.vector_store_id, w.lexeme, count(*) FROM moved m, unnest(tsvector_to_array(m.lexemes)) w(lexeme)
    GROUP BY 1, 2 ORDER BY 1, 2
    ON CONFLICT (vector_store_id, lexeme) DO UPDATE SET chunks = l.chunks + excluded.chunks;
  ELSE
    WITH gone AS (
      SELECT m.vector_store_id, w.lexeme, count(*)::integer AS chunks
      FROM moved m, unnest(tsvector_to_array(m.lexemes)) w(lexeme) GROUP BY 1, 2
    ), last AS (
      DELETE FROM store_lexeme l USING gone g
      WHERE l.vector_store_id = g.vector_store_id AND l.lexeme = g.lexeme AND l.chunks <= g.chunks
    )
    UPDATE store_lexeme l SET chunks = l.chunks - g.chunks FROM gone g
    WHERE l.vector_store_id = g.vector_store_id AND l.lexeme = g.lexeme AND l.chunks > g.chunks;
  END IF;
  RETURN NULL;
END $$;
CREATE TRIGGER "chunk_inserted" AFTER INSERT ON "chunk" REFERENCING NEW TABLE AS moved
  FOR EACH STATEMENT EXECUTE FUNCTION "count_chunks"();
CREATE TRIGGER "chunk_deleted" AFTER DELETE ON "chunk" REFERENCING OLD TABLE AS moved
  FOR EACH STATEMENT EXECUTE FUNCTION "count_chunks"();
