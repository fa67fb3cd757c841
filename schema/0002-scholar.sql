-- What was fetched from Semantic Scholar. A rebuild of the catalogue keeps all of it, so variants are named by key
-- without a foreign key: an entry may go and come back. Times are UTC, YYYY-MM-DDTHH:MM:SSZ.

-- Answers as they came, so that nothing is asked twice.
CREATE TABLE scholar_response (
    request      TEXT PRIMARY KEY, -- method, path and query; for a POST also its body. Never a key
    status       INTEGER NOT NULL, -- of HTTP
    body         BLOB NOT NULL,
    retrieved_at TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- How far each variant's paper has come.
CREATE TABLE scholar_paper (
    variant         TEXT PRIMARY KEY,
    asked_id        TEXT,             -- what was asked: a paper id, ARXIV:..., or NULL for a title match
    paper_id        TEXT,             -- what was answered; records are merged, so it may differ
    state           TEXT NOT NULL CHECK (state IN ('partial',   -- some pages of its references are here
                                                   'complete',  -- all are
                                                   'capped',    -- as many as the service gives
                                                   'empty',     -- the service has none
                                                   'elided',    -- the publisher withholds them
                                                   'not-found',
                                                   'failed')),
    next_offset     INTEGER NOT NULL DEFAULT 0, -- where a partial one goes on
    title           TEXT,
    year            INTEGER,
    reference_count INTEGER,
    citation_count  INTEGER,
    retrieved_at    TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- Links among variants, from the answers.
CREATE TABLE fetched_link (
    citing       TEXT NOT NULL,
    cited        TEXT NOT NULL,
    methodology  INTEGER NOT NULL CHECK (methodology IN (0, 1)),
    background   INTEGER NOT NULL CHECK (background IN (0, 1)),
    result       INTEGER NOT NULL CHECK (result IN (0, 1)),
    influential  INTEGER CHECK (influential IN (0, 1)),
    contexts     INTEGER CHECK (contexts >= 0),
    retrieved_at TEXT NOT NULL,
    PRIMARY KEY (citing, cited)
) STRICT, WITHOUT ROWID;
CREATE INDEX fetched_link_by_cited ON fetched_link (cited);

-- Citations among variants. Where a paper's references were fetched whole, they stand in place of the snapshot's;
-- links that a person entered stay.
CREATE VIEW citation AS
SELECT l.citing, l.cited, l.methodology, l.background, l.result, l.influential, l.contexts, 'api' AS source,
       l.retrieved_at
FROM fetched_link AS l
    JOIN scholar_paper AS p ON p.variant = l.citing AND p.state IN ('complete', 'capped')
    JOIN variant AS a ON a.key = l.citing
    JOIN variant AS b ON b.key = l.cited
UNION ALL
SELECT s.citing, s.cited, s.methodology, s.background, s.result, s.influential, s.contexts, s.source, NULL
FROM snapshot_link AS s
WHERE NOT EXISTS (SELECT 1 FROM scholar_paper AS p
                  WHERE p.variant = s.citing AND p.state IN ('complete', 'capped'))
   OR (s.source = 'hand'
       AND NOT EXISTS (SELECT 1 FROM fetched_link AS l WHERE l.citing = s.citing AND l.cited = s.cited));

PRAGMA user_version = 2;
