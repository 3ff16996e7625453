BEGIN TRANSACTION;
CREATE TABLE actors (
        project TEXT NOT NULL, id TEXT NOT NULL, roles TEXT NOT NULL, at TEXT NOT NULL,
        PRIMARY KEY (project, id)) WITHOUT ROWID;
INSERT INTO "actors" VALUES('handbook','person:local','["owner"]','2026-11-24T19:40:05.028798Z');
CREATE TABLE artifacts (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        project TEXT NOT NULL, kind TEXT NOT NULL, name TEXT NOT NULL, version INTEGER NOT NULL,
        hash TEXT NOT NULL, content TEXT NOT NULL, blob TEXT,
        actor TEXT NOT NULL, at TEXT NOT NULL, why TEXT NOT NULL,
        UNIQUE (project, kind, name, version), UNIQUE (project, hash));
INSERT INTO "artifacts" VALUES(1,'handbook','prompt','answer',1,'sha256:7155d7270e156e0169b1335ce54b73f15da938f099650129500d20955859159f','{"template":"Hi {{ name }}"}',NULL,'person:local','2026-11-24T19:40:05.028798Z','first words');
INSERT INTO "artifacts" VALUES(2,'handbook','prompt','answer',2,'sha256:083ad49f685e50e674f460a8c00c55f820a42d006828b12cebde491a1448c0db','{"template":"Hello {{ name }}"}',NULL,'person:local','2026-11-24T19:40:05.030563Z','');
INSERT INTO "artifacts" VALUES(3,'handbook','chain','qa',1,'sha256:4ed9c57cfdcb75e3800cd3f90d34be4159441f69cce0791f7356b65a6f1b60e6','{"form":1}',NULL,'person:local','2026-11-24T19:40:05.031491Z','');
INSERT INTO "artifacts" VALUES(4,'handbook','experiment','1',1,'sha256:e1fb7580996b27aeeaa3bcaa85cf46d8c8933aa86eff17c202c53a1d571d4e56','{"rows":1}',NULL,'person:local','2026-11-24T19:40:05.032561Z','');
CREATE TABLE audit (
        seq INTEGER PRIMARY KEY,
        at TEXT NOT NULL, project TEXT NOT NULL, actor TEXT NOT NULL, action TEXT NOT NULL, subject TEXT NOT NULL,
        details TEXT NOT NULL, previous TEXT NOT NULL, hash TEXT NOT NULL);
INSERT INTO "audit" VALUES(1,'2026-11-24T19:40:05.028798Z','handbook','person:local','actor','person:local','{"row":"sha256:c2486834744b3c4a316b565abce40bcdc925d95ee34ee83b4bca771c6abdc6ae"}','sha256:0000000000000000000000000000000000000000000000000000000000000000','sha256:f76294b963e2f84a425cc718c1e67c54721e1f6fa9bcc175034bd7f364d6a62d');
INSERT INTO "audit" VALUES(2,'2026-11-24T19:40:05.028798Z','handbook','person:local','put','prompt:answer@1','{"hash":"sha256:7155d7270e156e0169b1335ce54b73f15da938f099650129500d20955859159f","row":"sha256:a908985d81e394099e79d5d06054a6f984ff505b14d0729b108cc79f14f3ff0b"}','sha256:f76294b963e2f84a425cc718c1e67c54721e1f6fa9bcc175034bd7f364d6a62d','sha256:8f0be85fdf41617267b032f6cd26294a8f37cc33ab5dcb2ea5f0d8fa77cecf5f');
INSERT INTO "audit" VALUES(3,'2026-11-24T19:40:05.030563Z','handbook','person:local','put','prompt:answer@2','{"hash":"sha256:083ad49f685e50e674f460a8c00c55f820a42d006828b12cebde491a1448c0db","row":"sha256:e09411183cf61840a61f36fa6426f7c5ccc95e98ae78f6f50af09e5a54023663"}','sha256:8f0be85fdf41617267b032f6cd26294a8f37cc33ab5dcb2ea5f0d8fa77cecf5f','sha256:64ec4b9dfe89eeb5500d0b558ad9a7253fc72ea4aeca1ca11e8ccee1669c4e4c');
INSERT INTO "audit" VALUES(4,'2026-11-24T19:40:05.031491Z','handbook','person:local','put','chain:qa@1','{"hash":"sha256:4ed9c57cfdcb75e3800cd3f90d34be4159441f69cce0791f7356b65a6f1b60e6","row":"sha256:aa07e804ddba794448c583851e90b1ff1865c0872f660014b8bfa684a6c5e941"}','sha256:64ec4b9dfe89eeb5500d0b558ad9a7253fc72ea4aeca1ca11e8ccee1669c4e4c','sha256:cb7fd2256a2875830d67f979fca4b161781c0a63d2098cfdc9a4c2cd23a6f667');
INSERT INTO "audit" VALUES(5,'2026-11-24T19:40:05.032561Z','handbook','person:local','put','experiment:1@1','{"hash":"sha256:e1fb7580996b27aeeaa3bcaa85cf46d8c8933aa86eff17c202c53a1d571d4e56","row":"sha256:0bdccf71826a3b8edbaa0bfe7f68f292c55c6be4787a78065bd2509334df8e1b"}','sha256:cb7fd2256a2875830d67f979fca4b161781c0a63d2098cfdc9a4c2cd23a6f667','sha256:5bed3fb08709c69f3678668b458c8abfbbbd38e9e3b2f357e2158d560e50fb5f');
INSERT INTO "audit" VALUES(6,'2026-11-24T19:40:05.033511Z','handbook','person:local','alias','prompt:answer@production','{"from":null,"row":"sha256:2d37f34338351c9ef375a03ad9a1b5f984b8d3a1b1abb6f509ebdcbdb3961041","to":"prompt:answer@1"}','sha256:5bed3fb08709c69f3678668b458c8abfbbbd38e9e3b2f357e2158d560e50fb5f','sha256:933869f64951c0113cd1f554e572d354bf6c87a307e76462672621360049f402');
INSERT INTO "audit" VALUES(7,'2026-11-24T19:40:05.034829Z','handbook','person:local','alias','prompt:answer@production','{"from":"prompt:answer@1","row":"sha256:4fbf2d92234820582c3642e418cd8bfefc20396d55b78ba22fa9b5ff9129c262","to":"prompt:answer@2"}','sha256:933869f64951c0113cd1f554e572d354bf6c87a307e76462672621360049f402','sha256:37119cf236fcfc3f02376a054655ded44b963c818f4c4bc1a534f3193371bc57');
INSERT INTO "audit" VALUES(8,'2026-11-24T19:40:05.035756Z','handbook','person:local','alias','prompt:answer@production','{"from":"prompt:answer@2","row":"sha256:5b94226949df395f1ea789281dbb2456399b371e71791b991927f94023f8a02e","to":"prompt:answer@1"}','sha256:37119cf236fcfc3f02376a054655ded44b963c818f4c4bc1a534f3193371bc57','sha256:ea9de58520de71bedb5afa349087253026370b1308c2a8e5e47f0ea7dcfadada');
INSERT INTO "audit" VALUES(9,'2026-11-24T19:40:05.036694Z','handbook','person:local','score','01a20f12922c77cfbb73c639427136ae','{"row":"sha256:dbe9b4bcda44dd44e0191fc327a3f23bcd40afab15edc94af9ccb054ffda5991"}','sha256:ea9de58520de71bedb5afa349087253026370b1308c2a8e5e47f0ea7dcfadada','sha256:eff24b9745841728a080253efbafaeecf0bb31562eaf1814b04e46551a192999');
INSERT INTO "audit" VALUES(10,'2026-11-24T19:40:05.039331Z','handbook','person:local','key','7144d8de (ci)','{"name":"ci","row":"sha256:7987fddd7f2786fa91f9c58ff0f951a2532b01038738bc60274c6ea83852c5d7","scopes":["write"]}','sha256:eff24b9745841728a080253efbafaeecf0bb31562eaf1814b04e46551a192999','sha256:0cec7473374f507362410c9770794f69d7d2eac069884f3bd593d1d8248f7dfa');
INSERT INTO "audit" VALUES(11,'2026-11-24T19:40:05.157814Z','*','person:local','person','person:ana.reis','{"row":"sha256:eadc88c1c7baf46371c80b4dff007ff2c37bec617d9ecb1cde45dc586df2c9e2","state":"added"}','sha256:0cec7473374f507362410c9770794f69d7d2eac069884f3bd593d1d8248f7dfa','sha256:0c9f166d16f46a56b794de4f49102f7b67f80c43afdef5d1d48df54d0fc1810b');
INSERT INTO "audit" VALUES(12,'2026-11-24T19:40:05.157814Z','handbook','person:local','role','person:ana.reis','{"role":"editor","row":"sha256:f908ed3a727bc125ed1a7e905fa554014bf598e77a7089e1905c88be276f1158"}','sha256:0c9f166d16f46a56b794de4f49102f7b67f80c43afdef5d1d48df54d0fc1810b','sha256:c3aae5fbda8351d5442df8fb4f7dfa3945548ca46123cfa0ede3daa5d248311b');
CREATE TABLE changes (
        seq INTEGER PRIMARY KEY AUTOINCREMENT,
        project TEXT NOT NULL, at TEXT NOT NULL, what TEXT NOT NULL, subject TEXT NOT NULL);
INSERT INTO "changes" VALUES(1,'handbook','2026-11-24T19:40:05.028798Z','artifact','prompt:answer@1');
INSERT INTO "changes" VALUES(2,'handbook','2026-11-24T19:40:05.030563Z','artifact','prompt:answer@2');
INSERT INTO "changes" VALUES(3,'handbook','2026-11-24T19:40:05.031491Z','artifact','chain:qa~4ed9c5');
INSERT INTO "changes" VALUES(4,'handbook','2026-11-24T19:40:05.032561Z','artifact','experiment:1');
INSERT INTO "changes" VALUES(5,'handbook','2026-11-24T19:40:05.033511Z','alias','prompt:answer@production');
INSERT INTO "changes" VALUES(6,'handbook','2026-11-24T19:40:05.034829Z','alias','prompt:answer@production');
INSERT INTO "changes" VALUES(7,'handbook','2026-11-24T19:40:05.035756Z','alias','prompt:answer@production');
INSERT INTO "changes" VALUES(8,'handbook','2026-11-24T19:40:05.036694Z','score','01a20f12922c77cfbb73c639427136ae');
INSERT INTO "changes" VALUES(9,'handbook','2026-11-24T19:40:05.036694Z','score','01a20f12922c79b7abb9024b7d006def');
INSERT INTO "changes" VALUES(10,'handbook','2026-11-24T19:40:05.037619Z','job','01a20f12922d7237a565d1a05bbdecb1');
INSERT INTO "changes" VALUES(11,'handbook','2026-11-24T19:40:05.038633Z','job','01a20f12922d7237a565d1a05bbdecb1');
CREATE TABLE job_items (
        job INTEGER NOT NULL REFERENCES jobs, key TEXT NOT NULL, value TEXT NOT NULL,
        PRIMARY KEY (job, key)) WITHOUT ROWID;
INSERT INTO "job_items" VALUES(1,'row 1','{"output": "Hi"}');
CREATE TABLE jobs (
        seq INTEGER PRIMARY KEY AUTOINCREMENT,
        id TEXT NOT NULL UNIQUE, project TEXT NOT NULL, kind TEXT NOT NULL, key TEXT NOT NULL,
        status TEXT NOT NULL, total INTEGER, owner TEXT, by TEXT NOT NULL, at TEXT NOT NULL, ended TEXT);
INSERT INTO "jobs" VALUES(1,'01a20f12922d7237a565d1a05bbdecb1','handbook','eval','unfinished','stopped',2,NULL,'person:local','2026-11-24T19:40:05.037619Z','2026-11-24T19:40:05.038633Z');
CREATE TABLE keys (
        id TEXT PRIMARY KEY, project TEXT NOT NULL, name TEXT NOT NULL, scopes TEXT NOT NULL, hash TEXT NOT NULL UNIQUE,
        by TEXT NOT NULL, at TEXT NOT NULL, expires TEXT, revoked TEXT) WITHOUT ROWID;
INSERT INTO "keys" VALUES('7144d8de','handbook','ci','["write"]','3fe385b528dc7a0b1a9bee9bd3d78a25ad6b5c063ce8a3729b088d9106cb39e7','person:local','2026-11-24T19:40:05.039331Z',NULL,NULL);
CREATE TABLE logins (hash TEXT PRIMARY KEY, person TEXT NOT NULL, at TEXT NOT NULL, expires TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE moves (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        project TEXT NOT NULL, kind TEXT NOT NULL, name TEXT NOT NULL, alias TEXT NOT NULL,
        origin INTEGER REFERENCES artifacts, target INTEGER REFERENCES artifacts, decision TEXT,
        actor TEXT NOT NULL, at TEXT NOT NULL, why TEXT NOT NULL);
INSERT INTO "moves" VALUES(1,'handbook','prompt','answer','production',NULL,1,NULL,'person:local','2026-11-24T19:40:05.033511Z','newest');
INSERT INTO "moves" VALUES(2,'handbook','prompt','answer','production',1,2,NULL,'person:local','2026-11-24T19:40:05.034829Z','newest');
INSERT INTO "moves" VALUES(3,'handbook','prompt','answer','production',2,1,NULL,'person:local','2026-11-24T19:40:05.035756Z','users complain');
CREATE TABLE people (
        name TEXT PRIMARY KEY, password TEXT, invitation TEXT, invited_until TEXT, by TEXT NOT NULL, at TEXT NOT NULL,
        removed TEXT) WITHOUT ROWID;
INSERT INTO "people" VALUES('ana.reis','scrypt$32768-8-1$ex4z1mj1XpF7CVn0pWdUlQ==$kDNSpqC1guA00wrNpNS7a6v62itX2H6tsPzKDZLZJUU=',NULL,NULL,'person:local','2026-11-24T19:40:05.157814Z',NULL);
CREATE TABLE requests (id TEXT PRIMARY KEY, at TEXT NOT NULL, made INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE roles (
        project TEXT NOT NULL, person TEXT NOT NULL REFERENCES people, role TEXT NOT NULL, by TEXT NOT NULL, at TEXT NOT NULL,
        PRIMARY KEY (person, project)) WITHOUT ROWID;
INSERT INTO "roles" VALUES('handbook','ana.reis','editor','person:local','2026-11-24T19:40:05.157814Z');
CREATE TABLE scores (
        seq INTEGER PRIMARY KEY AUTOINCREMENT,
        project TEXT NOT NULL, id TEXT NOT NULL, target TEXT NOT NULL, name TEXT NOT NULL, value TEXT NOT NULL,
        by TEXT NOT NULL, why TEXT NOT NULL, at TEXT NOT NULL, time INTEGER NOT NULL, data TEXT NOT NULL,
        UNIQUE (project, id));
INSERT INTO "scores" VALUES(1,'handbook','01a20f12922c77cfbb73c639427136ae','t1','helpful','true','person:ana','','2026-11-24T19:40:05.036633Z',1795549205036633000,'{}');
INSERT INTO "scores" VALUES(2,'handbook','01a20f12922c79b7abb9024b7d006def','t1','exact','null','scorer:exact@1','no verdict','2026-11-24T19:40:05.036671Z',1795549205036671000,'{}');
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
PRAGMA user_version=2;
