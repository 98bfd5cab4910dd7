-- The outbox: mail and text messages, written with the change that causes them and delivered afterwards.
-- What is in them stands sealed in `content`; whom they are for has to be found.
CREATE TABLE courier_messages (
    id UUID NOT NULL PRIMARY KEY,
    status TEXT NOT NULL,
    type TEXT NOT NULL,
    recipient TEXT NOT NULL,
    template_type TEXT NOT NULL,
    channel TEXT NOT NULL,
    content BYTEA NOT NULL,
    send_count BIGINT NOT NULL,
    -- When a worker may take it: the next attempt, or the end of another worker's lease. Null once it is over.
    due_at BIGINT,
    -- When it was sent or given up.
    finished_at BIGINT,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
);
CREATE INDEX courier_messages_due_at ON courier_messages (due_at, id) WHERE due_at IS NOT NULL;
CREATE INDEX courier_messages_created_at ON courier_messages (created_at, id);
CREATE INDEX courier_messages_status ON courier_messages (status, created_at, id);
CREATE INDEX courier_messages_recipient ON courier_messages (recipient, created_at, id);

-- One row for each attempt that ended.
CREATE TABLE courier_dispatches (
    id UUID NOT NULL PRIMARY KEY,
    message_id UUID NOT NULL REFERENCES courier_messages (id) ON DELETE CASCADE,
    status TEXT NOT NULL,
    error TEXT,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
);
CREATE INDEX courier_dispatches_message ON courier_dispatches (message_id, created_at, id);
