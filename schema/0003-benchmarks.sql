-- What was measured. A rebuild of the catalogue keeps all of it; variants are named by key without a foreign key,
-- for a measurement outlives the entry it was made of.

-- One call of `clade bench` or `clade task`.
CREATE TABLE benchmark_run (
    id            INTEGER PRIMARY KEY,
    uuid          TEXT NOT NULL UNIQUE, -- names the run when results of several machines are merged
    started_at    TEXT NOT NULL,        -- UTC
    machine       TEXT NOT NULL CHECK (machine GLOB '{*}'), -- processor, cores, caches, memory, system
    threads       INTEGER NOT NULL CHECK (threads > 0),
    precision     TEXT NOT NULL CHECK (precision IN ('single', 'double')),
    build         TEXT NOT NULL CHECK (build GLOB '{*}'),   -- version, compiler, flags
    options       TEXT NOT NULL CHECK (options GLOB '{*}'), -- of the command
    gflops        REAL, -- roofline measured in this run: a large product of matrices, and
    gbytes_per_s  REAL  -- a large copy
) STRICT;

-- One variant in one setting. Times are seconds of one call, medians over rounds; sizes are bytes.
CREATE TABLE benchmark_result (
    run               INTEGER NOT NULL REFERENCES benchmark_run (id) ON DELETE CASCADE,
    variant           TEXT NOT NULL,
    scope             TEXT NOT NULL CHECK (scope IN ('operation', 'block')), -- the mixer's core, or all of it
    mode              TEXT NOT NULL CHECK (mode IN ('prefill', 'decode', 'train')),
    length            INTEGER NOT NULL CHECK (length > 0), -- tokens; for decode the position
    width             INTEGER NOT NULL CHECK (width > 0),
    batch             INTEGER NOT NULL CHECK (batch > 0),
    settings          TEXT NOT NULL CHECK (settings GLOB '{*}'), -- options of the kernels that were set
    rounds            INTEGER NOT NULL,
    median_s          REAL NOT NULL,
    spread_s          REAL NOT NULL, -- distance between the quartiles
    flops             REAL,
    bytes             REAL,          -- moved, as the primitives count them
    parameters        INTEGER,
    state_bytes       INTEGER,
    peak_bytes        INTEGER,
    roofline_fraction REAL,
    PRIMARY KEY (run, variant, scope, mode, length, width, batch, settings)
) STRICT, WITHOUT ROWID;
CREATE INDEX benchmark_result_by_variant ON benchmark_result (variant);

-- One training of a small stack on a task with known answers.
CREATE TABLE task_result (
    run        INTEGER NOT NULL REFERENCES benchmark_run (id) ON DELETE CASCADE,
    task       TEXT NOT NULL,
    variant    TEXT NOT NULL,
    settings   TEXT NOT NULL CHECK (settings GLOB '{*}'), -- sizes of the task and the stack, learning rate
    seed       INTEGER NOT NULL,
    step       INTEGER NOT NULL, -- training steps done when this was measured
    parameters INTEGER NOT NULL,
    accuracy   REAL NOT NULL,
    loss       REAL NOT NULL,
    seconds    REAL NOT NULL,
    PRIMARY KEY (run, task, variant, settings, seed, step)
) STRICT, WITHOUT ROWID;

-- The newest result of each variant in each setting, with its run.
CREATE VIEW latest_run AS
SELECT variant, scope, mode, length, width, batch, settings, threads, precision, median_s, spread_s, flops, bytes,
       parameters, state_bytes, peak_bytes, roofline_fraction, run, started_at, machine, build
FROM (SELECT *, row_number() OVER (PARTITION BY variant, scope, mode, length, width, batch, settings, threads,
                                                precision
                                   ORDER BY started_at DESC, run DESC) AS age
      FROM benchmark_result JOIN benchmark_run ON benchmark_run.id = run)
WHERE age = 1;

PRAGMA user_version = 3;
