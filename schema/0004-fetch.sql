-- How `clade fetch` goes on where it stopped, and what it found besides links. Kept by a rebuild, as all of 0002.

ALTER TABLE scholar_paper ADD COLUMN entry_ids TEXT;        -- the entry's ids when they were asked: changed ones are
                                                            -- asked again
ALTER TABLE scholar_paper ADD COLUMN looked_up_at TEXT;     -- when they were; retrieved_at is of the references
ALTER TABLE scholar_paper ADD COLUMN rows_received INTEGER; -- references that came; reference_count were promised
ALTER TABLE scholar_paper ADD COLUMN arxiv TEXT;            -- ids that the service knows
ALTER TABLE scholar_paper ADD COLUMN doi TEXT;
ALTER TABLE scholar_paper ADD COLUMN acl TEXT;

-- The paper with the nearest title, for an entry that no id leads from.
CREATE TABLE scholar_match (
    variant         TEXT PRIMARY KEY,
    query           TEXT NOT NULL, -- the entry's title
    paper_id        TEXT,          -- NULL: the service has none
    title           TEXT,
    author          TEXT,          -- the first
    year            INTEGER,
    reference_count INTEGER,
    citation_count  INTEGER,
    similarity      REAL,          -- of the titles, 0 to 1
    verdict         TEXT NOT NULL CHECK (verdict IN ('proposed', 'accepted', 'refused')), -- by a person
    retrieved_at    TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- When a service may be asked again, whichever process asks.
CREATE TABLE scholar_service (
    endpoint   TEXT PRIMARY KEY,
    not_before TEXT NOT NULL -- UTC, with milliseconds
) STRICT, WITHOUT ROWID;

-- The ids by which fetched_link was made of the answers in scholar_response: with other ones it is made again. At most
-- one row.
CREATE TABLE scholar_identities (
    only INTEGER PRIMARY KEY CHECK (only = 1),
    ids  TEXT NOT NULL -- an entry a line
) STRICT;

-- Citations among variants, as in 0002, but an entry that the service cannot know, having no id of any kind, is in no
-- list that was fetched: what the snapshot says of it stays.
DROP VIEW citation;
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
   OR (NOT EXISTS (SELECT 1 FROM fetched_link AS l WHERE l.citing = s.citing AND l.cited = s.cited)
       AND (s.source = 'hand'
            OR NOT EXISTS (SELECT 1 FROM variant AS v LEFT JOIN scholar_paper AS p ON p.variant = v.key
                           WHERE v.key = s.cited
                             AND coalesce(v.s2, v.arxiv, v.doi, v.acl, p.paper_id) IS NOT NULL)));

PRAGMA user_version = 4;
