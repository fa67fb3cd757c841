-- What the files under catalog/ say. These tables are emptied and filled again whenever the files change, in one
-- transaction; nothing of a person's own belongs here. Names of columns follow the fields of the files.
--
-- For questions by hand start with the views: variant_card (one row a variant), descent (one row an edge).
PRAGMA application_id = 0x636c6164; -- "clad"

-- Which files the tables below were filled from. At most one row.
CREATE TABLE catalogue (
    only        INTEGER PRIMARY KEY CHECK (only = 1),
    directory   TEXT NOT NULL,
    fingerprint TEXT NOT NULL, -- of the files, the kernels of the program and this schema
    built_at    TEXT NOT NULL  -- UTC
) STRICT;

-- Families colour the tree; catalog/families.json.
CREATE TABLE family (
    key    TEXT PRIMARY KEY,
    name   TEXT NOT NULL,
    colour TEXT NOT NULL, -- #rrggbb
    about  TEXT NOT NULL,
    place  INTEGER NOT NULL -- in the file
) STRICT, WITHOUT ROWID;

CREATE TABLE variant (
    key     TEXT PRIMARY KEY, -- lower case, digits, hyphens
    name    TEXT,             -- what the field calls it
    title   TEXT,             -- of the paper
    year    INTEGER,          -- of the venue
    date    TEXT,             -- first public version: YYYY, YYYY-MM or YYYY-MM-DD; descent is judged by it
    venue   TEXT,
    s2      TEXT UNIQUE,      -- Semantic Scholar's paper id
    arxiv   TEXT UNIQUE,
    doi     TEXT UNIQUE COLLATE NOCASE,
    acl     TEXT UNIQUE,      -- ACL Anthology
    kind    TEXT CHECK (kind IN ('block', 'component', 'procedure', 'objective', 'task', 'study')),
    family  TEXT REFERENCES family (key),
    summary TEXT,
    added   TEXT CHECK (added IN ('relative', 'ancestor')) -- why it is here without a seed row
) STRICT, WITHOUT ROWID;

CREATE TABLE author (
    variant TEXT NOT NULL REFERENCES variant (key) ON DELETE CASCADE,
    place   INTEGER NOT NULL, -- in the paper, from 0
    name    TEXT NOT NULL,
    PRIMARY KEY (variant, place)
) STRICT, WITHOUT ROWID;

CREATE TABLE code_link (
    variant TEXT NOT NULL REFERENCES variant (key) ON DELETE CASCADE,
    place   INTEGER NOT NULL, -- the official one is 0
    url     TEXT NOT NULL,
    PRIMARY KEY (variant, place)
) STRICT, WITHOUT ROWID;

-- Rows of the two lists that the catalogue started from; rows that name one work share a variant.
CREATE TABLE seed_row (
    list    TEXT NOT NULL,
    part    TEXT NOT NULL,
    number  INTEGER NOT NULL,
    variant TEXT NOT NULL REFERENCES variant (key) ON DELETE CASCADE,
    PRIMARY KEY (list, part, number)
) STRICT, WITHOUT ROWID;
CREATE INDEX seed_row_by_variant ON seed_row (variant);

-- Compositions: what fills the slots of each layer of a variant.
CREATE TABLE slot (
    variant    TEXT NOT NULL REFERENCES variant (key) ON DELETE CASCADE,
    layer      INTEGER NOT NULL, -- place in the pattern, from 0
    layer_name TEXT,             -- NULL where the composition is no pattern
    slot       TEXT NOT NULL CHECK (slot IN ('embedding', 'position', 'mixer', 'ffn', 'norm', 'residual', 'memory',
                                             'procedure', 'objective', 'task')),
    kernel     TEXT,             -- the kernel that fills it, or
    planned    TEXT,             -- the name of one that is not written yet
    options    TEXT NOT NULL CHECK (options GLOB '{*}'), -- a JSON object
    PRIMARY KEY (variant, layer, slot),
    CHECK ((kernel IS NULL) <> (planned IS NULL))
) STRICT, WITHOUT ROWID;
CREATE INDEX slot_by_kernel ON slot (kernel);

-- Descent: one primary parent, and donors whose kernels or ideas were borrowed.
CREATE TABLE parent (
    child      TEXT NOT NULL REFERENCES variant (key) ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED,
    parent     TEXT NOT NULL REFERENCES variant (key) ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED,
    place      INTEGER NOT NULL, -- in the entry, from 0
    is_primary INTEGER NOT NULL CHECK (is_primary IN (0, 1)),
    changed    TEXT, -- what the child changed or borrowed
    exception  TEXT, -- why this parent may be younger than the child
    PRIMARY KEY (child, parent),
    CHECK (child <> parent)
) STRICT, WITHOUT ROWID;
CREATE INDEX parent_by_parent ON parent (parent);
CREATE UNIQUE INDEX parent_one_primary ON parent (child) WHERE is_primary;

-- Published definitions that kernels are held against. The last five columns are JSON objects or NULL.
CREATE TABLE reference (
    variant  TEXT NOT NULL REFERENCES variant (key) ON DELETE CASCADE,
    place    INTEGER NOT NULL, -- in the entry, from 0
    set_name TEXT UNIQUE,      -- folder of reference cases; NULL: the paper alone
    slot     TEXT,             -- what the set computes: a slot or 'block'
    part     TEXT,             -- layer of the pattern that it computes
    source   TEXT NOT NULL,    -- owner/repo@commit:path:Class, or 'paper'
    sections TEXT,             -- of the paper
    fidelity TEXT CHECK (fidelity IN ('official', 'third-party', 'adapted', 'paper')),
    options  TEXT CHECK (options GLOB '{*}'), -- published argument -> option of the kernel
    fixed    TEXT CHECK (fixed GLOB '{*}'),   -- option of the kernel -> value
    inputs   TEXT CHECK (inputs GLOB '{*}'),  -- published name -> the kernel's, where they differ; so are the next
    outputs  TEXT CHECK (outputs GLOB '{*}'),
    weights  TEXT CHECK (weights GLOB '{*}'),
    PRIMARY KEY (variant, place)
) STRICT, WITHOUT ROWID;

-- Named sets of variants: of catalog/suites.json, and one for each study, under its key.
CREATE TABLE suite_member (
    suite   TEXT NOT NULL,
    place   INTEGER NOT NULL,
    variant TEXT NOT NULL REFERENCES variant (key) ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED,
    PRIMARY KEY (suite, place)
) STRICT, WITHOUT ROWID;

-- The vocabulary of discrete traits for phylogeny; catalog/characters.json.
CREATE TABLE character_state (
    character       TEXT NOT NULL,
    state           TEXT NOT NULL,
    character_about TEXT NOT NULL,
    state_about     TEXT NOT NULL,
    place           INTEGER NOT NULL UNIQUE, -- in the file, over all characters
    PRIMARY KEY (character, state)
) STRICT, WITHOUT ROWID;

-- The kernels of the program that filled these tables.
CREATE TABLE kernel (
    name   TEXT PRIMARY KEY,
    slot   TEXT NOT NULL,
    origin TEXT REFERENCES variant (key) DEFERRABLE INITIALLY DEFERRED -- who invented it
) STRICT, WITHOUT ROWID;

-- The state of a character in one slot of a variant, as the kernel there declares it for the options given. A variant
-- whose layers differ may have a character in several states.
CREATE TABLE trait (
    variant   TEXT NOT NULL,
    layer     INTEGER NOT NULL,
    slot      TEXT NOT NULL,
    character TEXT NOT NULL,
    state     TEXT NOT NULL,
    PRIMARY KEY (variant, layer, slot, character),
    FOREIGN KEY (variant, layer, slot) REFERENCES slot (variant, layer, slot) ON DELETE CASCADE,
    FOREIGN KEY (character, state) REFERENCES character_state (character, state)
) STRICT, WITHOUT ROWID;

-- Citations as catalog/citations.tsv has them; the view `citation` joins them with fetched ones.
CREATE TABLE snapshot_link (
    citing      TEXT NOT NULL REFERENCES variant (key) ON DELETE CASCADE,
    cited       TEXT NOT NULL REFERENCES variant (key) ON DELETE CASCADE,
    methodology INTEGER NOT NULL CHECK (methodology IN (0, 1)), -- intents; none of the three: not classified
    background  INTEGER NOT NULL CHECK (background IN (0, 1)),
    result      INTEGER NOT NULL CHECK (result IN (0, 1)),
    influential INTEGER CHECK (influential IN (0, 1)), -- NULL: unknown
    contexts    INTEGER CHECK (contexts >= 0),         -- sentences that mention the cited work; NULL: unknown
    source      TEXT NOT NULL CHECK (source IN ('s2', 'paper-text', 'hand')),
    PRIMARY KEY (citing, cited),
    CHECK (citing <> cited)
) STRICT, WITHOUT ROWID;
CREATE INDEX snapshot_link_by_cited ON snapshot_link (cited);

-- Full text: each row is one variant.
CREATE VIRTUAL TABLE variant_search USING fts5 (
    key, name, title, authors, summary, tokenize = 'unicode61 remove_diacritics 2'
);

-- What an entry still lacks, in words; NULL: nothing. A variant runs if every slot has its kernel; a study runs as the
-- suite of the variants that it compares.
CREATE VIEW variant_state AS
SELECT key AS variant,
       (SELECT count(*) > 0 AND count(*) = count(kernel) FROM slot WHERE slot.variant = key)
           OR (kind IS 'study' AND EXISTS (SELECT 1 FROM suite_member WHERE suite = key)) AS runnable,
       nullif(substr(iif(name IS NULL, ', name', '') || iif(title IS NULL, ', title', '')
           || iif(date IS NULL, ', date', '') || iif(kind IS NULL, ', kind', '')
           || iif(family IS NULL, ', family', '') || iif(summary IS NULL, ', summary', '')
           || iif(EXISTS (SELECT 1 FROM author WHERE author.variant = key), '', ', authors')
           || iif(EXISTS (SELECT 1 FROM slot WHERE slot.variant = key)
                      OR EXISTS (SELECT 1 FROM suite_member WHERE suite = key),
                  '', iif(kind IS 'study', ', suite', ', composition'))
           || coalesce((SELECT group_concat(', kernel ' || planned, '')
                        FROM (SELECT DISTINCT planned FROM slot
                              WHERE slot.variant = key AND planned IS NOT NULL ORDER BY planned)), ''),
           3), '') AS missing
FROM variant;

-- One row a variant, for reading.
CREATE VIEW variant_card AS
SELECT key, name, title,
       (SELECT group_concat(name, '; ') FROM (SELECT name FROM author WHERE variant = key ORDER BY place)) AS authors,
       year, date, venue, kind, family, summary, s2, arxiv, doi, acl,
       (SELECT parent FROM parent WHERE child = key AND is_primary) AS primary_parent,
       (SELECT group_concat(parent, '; ')
        FROM (SELECT parent FROM parent WHERE child = key AND NOT is_primary ORDER BY place)) AS donors,
       (SELECT group_concat(iif(layer_name IS NULL, '', layer_name || '.') || slot || '=' || coalesce(kernel, planned),
                            '; ')
        FROM (SELECT * FROM slot WHERE variant = key ORDER BY layer, slot)) AS composition,
       (SELECT group_concat(list || ' ' || part || ' ' || number, '; ')
        FROM (SELECT * FROM seed_row WHERE variant = key ORDER BY list, part, number)) AS seeds,
       runnable, missing
FROM variant JOIN variant_state ON variant_state.variant = key;

-- One row an edge of descent.
CREATE VIEW descent AS
SELECT child, c.name AS child_name, c.date AS child_date,
       parent, p.name AS parent_name, p.date AS parent_date,
       iif(is_primary, 'primary', 'donor') AS role, changed, exception
FROM parent JOIN variant AS c ON c.key = child JOIN variant AS p ON p.key = parent;

PRAGMA user_version = 1;
