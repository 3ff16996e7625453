BEGIN TRANSACTION;
CREATE TABLE actors (
        project TEXT NOT NULL, id TEXT NOT NULL, roles TEXT NOT NULL, at TEXT NOT NULL,
        PRIMARY KEY (project, id)) WITHOUT ROWID;
INSERT INTO "actors" VALUES('handbook','person:local','["owner"]','2026-11-24T17:16:08.375108Z');
CREATE TABLE artifacts (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        project TEXT NOT NULL, kind TEXT NOT NULL, name TEXT NOT NULL, version INTEGER NOT NULL,
        hash TEXT NOT NULL, content TEXT NOT NULL, blob TEXT,
        actor TEXT NOT NULL, at TEXT NOT NULL, why TEXT NOT NULL,
        UNIQUE (project, kind, name, version), UNIQUE (project, hash));
INSERT INTO "artifacts" VALUES(1,'handbook','prompt','answer',1,'sha256:7155d7270e156e0169b1335ce54b73f15da938f099650129500d20955859159f','{"template":"Hi {{ name }}"}',NULL,'person:local','2026-11-24T17:16:08.375108Z','first words');
INSERT INTO "artifacts" VALUES(2,'handbook','prompt','answer',2,'sha256:083ad49f685e50e674f460a8c00c55f820a42d006828b12cebde491a1448c0db','{"template":"Hello {{ name }}"}',NULL,'person:local','2026-11-24T17:16:08.383731Z','');
INSERT INTO "artifacts" VALUES(3,'handbook','chain','qa',1,'sha256:4ed9c57cfdcb75e3800cd3f90d34be4159441f69cce0791f7356b65a6f1b60e6','{"form":1}',NULL,'person:local','2026-11-24T17:16:08.391269Z','');
INSERT INTO "artifacts" VALUES(4,'handbook','experiment','1',1,'sha256:e1fb7580996b27aeeaa3bcaa85cf46d8c8933aa86eff17c202c53a1d571d4e56','{"rows":1}',NULL,'person:local','2026-11-24T17:16:08.401264Z','');
CREATE TABLE audit (
        seq INTEGER PRIMARY KEY,
        at TEXT NOT NULL, project TEXT NOT NULL, actor TEXT NOT NULL, action TEXT NOT NULL, subject TEXT NOT NULL,
        details TEXT NOT NULL, previous TEXT NOT NULL, hash TEXT NOT NULL);
INSERT INTO "audit" VALUES(1,'2026-11-24T17:16:08.375108Z','handbook','person:local','actor','person:local','{"row":"sha256:5737f695168379fd27dfe6802d8820d9692a55e9979aa561164c341113fd4492"}','sha256:0000000000000000000000000000000000000000000000000000000000000000','sha256:22ebb135d3b8c0548ac865b0d9b805ab3acb79db3e5e7f8c34225ee1f030e8c8');
INSERT INTO "audit" VALUES(2,'2026-11-24T17:16:08.375108Z','handbook','person:local','put','prompt:answer@1','{"hash":"sha256:7155d7270e156e0169b1335ce54b73f15da938f099650129500d20955859159f","row":"sha256:ac944f448b436cf2ddd33a886e46bedd604a45ff7bc7d795cd961f9abf94b356"}','sha256:22ebb135d3b8c0548ac865b0d9b805ab3acb79db3e5e7f8c34225ee1f030e8c8','sha256:8fcbf5c55c348cc9c5767c51f23cfebd5cd19516f4c1bc5ad7a3c79cf14170f2');
INSERT INTO "audit" VALUES(3,'2026-11-24T17:16:08.383731Z','handbook','person:local','put','prompt:answer@2','{"hash":"sha256:083ad49f685e50e674f460a8c00c55f820a42d006828b12cebde491a1448c0db","row":"sha256:35264895c1def90e92d97f09fd6bd9530c5faa20a17e11e31a7ac692d9a38ad1"}','sha256:8fcbf5c55c348cc9c5767c51f23cfebd5cd19516f4c1bc5ad7a3c79cf14170f2','sha256:cb4f7d06c7a67805d082aba202f7bdce8cf519c4791b9fd6c117caaba768207b');
INSERT INTO "audit" VALUES(4,'2026-11-24T17:16:08.391269Z','handbook','person:local','put','chain:qa@1','{"hash":"sha256:4ed9c57cfdcb75e3800cd3f90d34be4159441f69cce0791f7356b65a6f1b60e6","row":"sha256:2834bd96783259b5c95541f94b2210d027b3d7bba20bc8136641a5d2558d26b1"}','sha256:cb4f7d06c7a67805d082aba202f7bdce8cf519c4791b9fd6c117caaba768207b','sha256:b1bef638f13969a1e771a19914bd03ee4601b02b8199578b13ae6de8a47a31fe');
INSERT INTO "audit" VALUES(5,'2026-11-24T17:16:08.401264Z','handbook','person:local','put','experiment:1@1','{"hash":"sha256:e1fb7580996b27aeeaa3bcaa85cf46d8c8933aa86eff17c202c53a1d571d4e56","row":"sha256:2bbb6b5cdb6cd1e3dd06f7e6a370227d2053a22550595f7881036ee3e137f5cb"}','sha256:b1bef638f13969a1e771a19914bd03ee4601b02b8199578b13ae6de8a47a31fe','sha256:b8958a09b997c1d4c6b6028c4655c0c671f3a6a153a683bab69d3b4383b2466d');
INSERT INTO "audit" VALUES(6,'2026-11-24T17:16:08.411508Z','handbook','person:local','alias','prompt:answer@production','{"from":null,"row":"sha256:53eb4833adc21ff13b5ddf89dfed289020421f903741bb77941a673131f2ae50","to":"prompt:answer@1"}','sha256:b8958a09b997c1d4c6b6028c4655c0c671f3a6a153a683bab69d3b4383b2466d','sha256:2227ae98ac4474678066c23d2de9d2b009c0bd031f81f2c1e3bd216027d602eb');
INSERT INTO "audit" VALUES(7,'2026-11-24T17:16:08.423253Z','handbook','person:local','alias','prompt:answer@production','{"from":"prompt:answer@1","row":"sha256:c29585e61cb11cfebaddc08cf675585e68c109600be8e1cbe4d3bd614029ae32","to":"prompt:answer@2"}','sha256:2227ae98ac4474678066c23d2de9d2b009c0bd031f81f2c1e3bd216027d602eb','sha256:e274e5480a0adc1c04ad133c75dac0749f0a3f4c3f762542d863412b358943ea');
INSERT INTO "audit" VALUES(8,'2026-11-24T17:16:08.435060Z','handbook','person:local','alias','prompt:answer@production','{"from":"prompt:answer@2","row":"sha256:ff710afce8323ad4ed8610dcec3705901b7aa3cab389564f9be2eba5057bc293","to":"prompt:answer@1"}','sha256:e274e5480a0adc1c04ad133c75dac0749f0a3f4c3f762542d863412b358943ea','sha256:feca7f1ef11ce9b8259172a2e128a5267fce32cc79205ef2e109dddba1e3dce8');
INSERT INTO "audit" VALUES(9,'2026-11-24T17:16:08.439169Z','handbook','person:local','score','01a20e8ec977788986611d07488d423c','{"row":"sha256:fc2d68fb657bf46a0f4c20ce1acb310bfe57ac50eaa32d877227e5021eeb124a"}','sha256:feca7f1ef11ce9b8259172a2e128a5267fce32cc79205ef2e109dddba1e3dce8','sha256:174b10e2f49588d3c99d56e1598cf8bf98cbe27b96a4af149e7db0a21490060c');
CREATE TABLE changes (
        seq INTEGER PRIMARY KEY AUTOINCREMENT,
        project TEXT NOT NULL, at TEXT NOT NULL, what TEXT NOT NULL, subject TEXT NOT NULL);
INSERT INTO "changes" VALUES(1,'handbook','2026-11-24T17:16:08.375108Z','artifact','prompt:answer@1');
INSERT INTO "changes" VALUES(2,'handbook','2026-11-24T17:16:08.383731Z','artifact','prompt:answer@2');
INSERT INTO "changes" VALUES(3,'handbook','2026-11-24T17:16:08.391269Z','artifact','chain:qa~4ed9c5');
INSERT INTO "changes" VALUES(4,'handbook','2026-11-24T17:16:08.401264Z','artifact','experiment:1');
INSERT INTO "changes" VALUES(5,'handbook','2026-11-24T17:16:08.411508Z','alias','prompt:answer@production');
INSERT INTO "changes" VALUES(6,'handbook','2026-11-24T17:16:08.423253Z','alias','prompt:answer@production');
INSERT INTO "changes" VALUES(7,'handbook','2026-11-24T17:16:08.435060Z','alias','prompt:answer@production');
INSERT INTO "changes" VALUES(8,'handbook','2026-11-24T17:16:08.439169Z','score','01a20e8ec977788986611d07488d423c');
INSERT INTO "changes" VALUES(9,'handbook','2026-11-24T17:16:08.439169Z','score','01a20e8ec9777bcf8869fb65f6801d60');
INSERT INTO "changes" VALUES(10,'handbook','2026-11-24T17:16:08.447177Z','job','01a20e8ec97f7d959c91f619dd59217c');
INSERT INTO "changes" VALUES(11,'handbook','2026-11-24T17:16:08.457925Z','job','01a20e8ec97f7d959c91f619dd59217c');
CREATE TABLE job_items (
        job INTEGER NOT NULL REFERENCES jobs, key TEXT NOT NULL, value TEXT NOT NULL,
        PRIMARY KEY (job, key)) WITHOUT ROWID;
INSERT INTO "job_items" VALUES(1,'row 1','{"output": "Hi"}');
CREATE TABLE jobs (
        seq INTEGER PRIMARY KEY AUTOINCREMENT,
        id TEXT NOT NULL UNIQUE, project TEXT NOT NULL, kind TEXT NOT NULL, key TEXT NOT NULL,
        status TEXT NOT NULL, total INTEGER, owner TEXT, by TEXT NOT NULL, at TEXT NOT NULL, ended TEXT);
INSERT INTO "jobs" VALUES(1,'01a20e8ec97f7d959c91f619dd59217c','handbook','eval','unfinished','stopped',2,NULL,'person:local','2026-11-24T17:16:08.447177Z','2026-11-24T17:16:08.457925Z');
CREATE TABLE moves (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        project TEXT NOT NULL, kind TEXT NOT NULL, name TEXT NOT NULL, alias TEXT NOT NULL,
        origin INTEGER REFERENCES artifacts, target INTEGER REFERENCES artifacts, decision TEXT,
        actor TEXT NOT NULL, at TEXT NOT NULL, why TEXT NOT NULL);
INSERT INTO "moves" VALUES(1,'handbook','prompt','answer','production',NULL,1,NULL,'person:local','2026-11-24T17:16:08.411508Z','newest');
INSERT INTO "moves" VALUES(2,'handbook','prompt','answer','production',1,2,NULL,'person:local','2026-11-24T17:16:08.423253Z','newest');
INSERT INTO "moves" VALUES(3,'handbook','prompt','answer','production',2,1,NULL,'person:local','2026-11-24T17:16:08.435060Z','users complain');
CREATE TABLE scores (
        seq INTEGER PRIMARY KEY AUTOINCREMENT,
        project TEXT NOT NULL, id TEXT NOT NULL, target TEXT NOT NULL, name TEXT NOT NULL, value TEXT NOT NULL,
        by TEXT NOT NULL, why TEXT NOT NULL, at TEXT NOT NULL, time INTEGER NOT NULL, data TEXT NOT NULL,
        UNIQUE (project, id));
INSERT INTO "scores" VALUES(1,'handbook','01a20e8ec977788986611d07488d423c','t1','helpful','true','person:ana','','2026-11-24T17:16:08.439045Z',1795540568439045000,'{}');
INSERT INTO "scores" VALUES(2,'handbook','01a20e8ec9777bcf8869fb65f6801d60','t1','exact','null','scorer:exact@1','no verdict','2026-11-24T17:16:08.439132Z',1795540568439132000,'{}');
CREATE TABLE uses (
        artifact INTEGER NOT NULL REFERENCES artifacts, role TEXT NOT NULL,
        target INTEGER NOT NULL REFERENCES artifacts,
        PRIMARY KEY (artifact, role, target)) WITHOUT ROWID;
INSERT INTO "uses" VALUES(3,'prompt answer',1);
INSERT INTO "uses" VALUES(4,'target',3);
CREATE INDEX artifacts_by_name ON artifacts (project, name);
CREATE INDEX uses_by_target ON uses (target);
CREATE INDEX moves_by_alias ON moves (project, name, alias, kind, id);
CREATE INDEX moves_by_target ON moves (target);
CREATE VIEW aliases AS SELECT m.project, m.kind, m.name, m.alias, m.target, m.id AS move FROM moves AS m
        WHERE m.target IS NOT NULL AND m.id = (SELECT max(n.id) FROM moves AS n
            WHERE n.project = m.project AND n.kind = m.kind AND n.name = m.name AND n.alias = m.alias);
CREATE INDEX scores_by_target ON scores (project, target, time);
CREATE INDEX scores_by_name ON scores (project, name, time);
CREATE INDEX scores_by_time ON scores (project, time);
CREATE UNIQUE INDEX jobs_unfinished ON jobs (project, kind, key) WHERE status <> 'done';
CREATE INDEX jobs_by_key ON jobs (project, kind, key);
CREATE INDEX changes_by_project ON changes (project, seq);
DELETE FROM "sqlite_sequence";
INSERT INTO "sqlite_sequence" VALUES('artifacts',4);
INSERT INTO "sqlite_sequence" VALUES('changes',11);
INSERT INTO "sqlite_sequence" VALUES('moves',3);
INSERT INTO "sqlite_sequence" VALUES('scores',2);
INSERT INTO "sqlite_sequence" VALUES('jobs',1);
COMMIT;
PRAGMA user_version=1;
