-- Which session of the code interpreter has a thread's variables, and runs that are left to its worker for a moment. Safe
-- while processes of the version before still run: columns and a table are added that they do not know.

-- AlterTable
ALTER TABLE "run" ADD COLUMN     "preferred_owner" TEXT,
ADD COLUMN     "preferred_until" TIMESTAMPTZ(3);

-- CreateTable
CREATE TABLE "code_session" (
    "thread_id" TEXT COLLATE "C" NOT NULL,
    "session" TEXT NOT NULL,
    "worker" TEXT NOT NULL,
    "live_until" TIMESTAMPTZ(3) NOT NULL,

    CONSTRAINT "code_session_pkey" PRIMARY KEY ("thread_id")
);

-- AddForeignKey
ALTER TABLE "code_session" ADD CONSTRAINT "code_session_thread_id_fkey" FOREIGN KEY ("thread_id") REFERENCES "thread"("id") ON DELETE CASCADE ON UPDATE CASCADE;
