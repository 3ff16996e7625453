BEGIN TRANSACTION;
CREATE TABLE actors (
            project TEXT NOT NULL, id TEXT NOT NULL, roles TEXT NOT NULL, at TEXT NOT NULL,
            PRIMARY KEY (project, id)), WITHOUT ROWID;
INSERT INTO "actors" VALUES('handbook','person:local','["owner"]','2026-11-24T16:59:09.287051Z');
CREATE TABLE artifacts (
            id INTEGER PRIMARY KEY AUTOINCREMENT,
            project TEXT NOT NULL, kind TEXT NOT NULL, name TEXT NOT NULL, version INTEGER NOT NULL,
            hash TEXT NOT NULL, content TEXT NOT NULL, blob TEXT,
            actor TEXT NOT NULL, at TEXT NOT NULL, why TEXT NOT NULL,
            UNIQUE (project, kind, name, version), UNIQUE (project, hash));
INSERT INTO "artifacts" VALUES(1,'handbook','prompt','answer',1,'sha256:7155d7270e156e0169b1335ce54b73f15da938f099650129500d20955859159f','{"template":"Hi {{ name }}"}',NULL,'person:local','2026-11-24T16:59:09.287051Z','first words');
INSERT INTO "artifacts" VALUES(2,'handbook','prompt','answer',2,'sha256:083ad49f685e50e674f460a8c00c55f820a42d006828b12cebde491a1448c0db','{"template":"Hello {{ name }}"}',NULL,'person:local','2026-11-24T16:59:09.325233Z','');
INSERT INTO "artifacts" VALUES(3,'handbook','chain','qa',1,'sha256:4ed9c57cfdcb75e3800cd3f90d34be4159441f69cce0791f7356b65a6f1b60e6','{"form":1}',NULL,'person:local','2026-11-24T16:59:09.358173Z','');
INSERT INTO "artifacts" VALUES(4,'handbook','experiment','1',1,'sha256:e1fb7580996b27aeeaa3bcaa85cf46d8c8933aa86eff17c202c53a1d571d4e56','{"rows":1}',NULL,'person:local','2026-11-24T16:59:09.411589Z','');
CREATE TABLE audit (
            seq INTEGER PRIMARY KEY,
            at TEXT NOT NULL, project TEXT NOT NULL, actor TEXT NOT NULL, action TEXT NOT NULL, subject TEXT NOT NULL,
            details TEXT NOT NULL, previous TEXT NOT NULL, hash TEXT NOT NULL);
INSERT INTO "audit" VALUES(1,'2026-11-24T16:59:09.287051Z','handbook','person:local','actor','person:local','{"row":"sha256:8336a013ede67322b9607a2a08b0c1e2ca3ed99f5d4956e1cbf9299078f07d09"}','sha256:0000000000000000000000000000000000000000000000000000000000000000','sha256:8762645fc070a5e4f63f057f3f482519ddf43b457f2c99a2b4a052863f59c74b');
INSERT INTO "audit" VALUES(2,'2026-11-24T16:59:09.287051Z','handbook','person:local','put','prompt:answer@1','{"hash":"sha256:7155d7270e156e0169b1335ce54b73f15da938f099650129500d20955859159f","row":"sha256:8e47771978b9c82be508f859f43a7dd877a99ff4ac97393b15c121b80b9cb8ef"}','sha256:8762645fc070a5e4f63f057f3f482519ddf43b457f2c99a2b4a052863f59c74b','sha256:f58db9dcb0590a4d5b11bdf8f46443ca6f31fcae7813fb40559cb7e48f28430e');
INSERT INTO "audit" VALUES(3,'2026-11-24T16:59:09.325233Z','handbook','person:local','put','prompt:answer@2','{"hash":"sha256:083ad49f685e50e674f460a8c00c55f820a42d006828b12cebde491a1448c0db","row":"sha256:2984fe29adf6781a9b5535df0d1047ca613047d2e3166fe764d7ecb3c957eeb2"}','sha256:f58db9dcb0590a4d5b11bdf8f46443ca6f31fcae7813fb40559cb7e48f28430e','sha256:26354740b3a2336591fb6b71547e0d21e1cca2ff715691c0769f48e17274e579');
INSERT INTO "audit" VALUES(4,'2026-11-24T16:59:09.358173Z','handbook','person:local','put','chain:qa@1','{"hash":"sha256:4ed9c57cfdcb75e3800cd3f90d34be4159441f69cce0791f7356b65a6f1b60e6","row":"sha256:54490919267b14e8685980276dcd82707b11c018da916d7e56472ea3e993bdbf"}','sha256:26354740b3a2336591fb6b71547e0d21e1cca2ff715691c0769f48e17274e579','sha256:f39a1e87b5406dc1e003f8dcac4b0f3b3fc3ee7052598ad1fc927f957ade822c');
INSERT INTO "audit" VALUES(5,'2026-11-24T16:59:09.411589Z','handbook','person:local','put','experiment:1@1','{"hash":"sha256:e1fb7580996b27aeeaa3bcaa85cf46d8c8933aa86eff17c202c53a1d571d4e56","row":"sha256:80c0171f08283134b0a30883e667bf6c0860ee69a591b812fbc4c3762bc89e7c"}','sha256:f39a1e87b5406dc1e003f8dcac4b0f3b3fc3ee7052598ad1fc927f957ade822c','sha256:2fbb08742351b0f0f8f702411131cbded880967a46360dfffd2d15e98eaaa55d');
INSERT INTO "audit" VALUES(6,'2026-11-24T16:59:09.463005Z','handbook','person:local','alias','prompt:answer@production','{"from":null,"row":"sha256:c144fd6ad035af20c419ac9769dc3f632267746fd648907dea7d8281a4cb6309","to":"prompt:answer@1"}','sha256:2fbb08742351b0f0f8f702411131cbded880967a46360dfffd2d15e98eaaa55d','sha256:bccbb79d93b200c76e4f85e793575bc3b454c80498ac2d376507c201d49f312b');
INSERT INTO "audit" VALUES(7,'2026-11-24T16:59:09.499134Z','handbook','person:local','alias','prompt:answer@production','{"from":"prompt:answer@1","row":"sha256:505e21bcbf62b9ef250715a1d3bbe2c17f95a3a455277fbb5d6b578a30537c9d","to":"prompt:answer@2"}','sha256:bccbb79d93b200c76e4f85e793575bc3b454c80498ac2d376507c201d49f312b','sha256:1181bee1f1d82bf7200e2c6d3d7fe54b63048c4cc873764699b3debb368c8d07');
INSERT INTO "audit" VALUES(8,'2026-11-24T16:59:09.544117Z','handbook','person:local','alias','prompt:answer@production','{"from":"prompt:answer@2","row":"sha256:9127d9c7f614841ce5e6bcec4ee9b40ee770d6d8e87c20b37b3f9e62f5fbfb6c","to":"prompt:answer@1"}','sha256:1181bee1f1d82bf7200e2c6d3d7fe54b63048c4cc873764699b3debb368c8d07','sha256:4a212075e15ecfbc0ca5a14ec7c78aa35862e7d741a8522403df3b855330e85c');
INSERT INTO "audit" VALUES(9,'2026-11-24T16:59:09.836704Z','handbook','person:local','score','01a20e7f3e8c700d944f6c6de346c3ee','{"row":"sha256:84ecb4cde0ce09c581755556d3e6e09f8df008c351635a252237dc681fbf1da4"}','sha256:4a212075e15ecfbc0ca5a14ec7c78aa35862e7d741a8522403df3b855330e85c','sha256:0f7abdb9769bc88b1ad2e50fd35aec983c2e91c7c0fafa4694722b5d5280ac7e');
CREATE TABLE changes (
            seq INTEGER PRIMARY KEY AUTOINCREMENT,
            project TEXT NOT NULL, at TEXT NOT NULL, what TEXT NOT NULL, subject TEXT NOT NULL);
INSERT INTO "changes" VALUES(1,'handbook','2026-11-24T16:59:09.287051Z','artifact','prompt:answer@1');
INSERT INTO "changes" VALUES(2,'handbook','2026-11-24T16:59:09.325233Z','artifact','prompt:answer@2');
INSERT INTO "changes" VALUES(3,'handbook','2026-11-24T16:59:09.358173Z','artifact','chain:qa~4ed9c5');
INSERT INTO "changes" VALUES(4,'handbook','2026-11-24T16:59:09.411589Z','artifact','experiment:1');
INSERT INTO "changes" VALUES(5,'handbook','2026-11-24T16:59:09.463005Z','alias','prompt:answer@production');
INSERT INTO "changes" VALUES(6,'handbook','2026-11-24T16:59:09.499134Z','alias','prompt:answer@production');
INSERT INTO "changes" VALUES(7,'handbook','2026-11-24T16:59:09.544117Z','alias','prompt:answer@production');
INSERT INTO "changes" VALUES(8,'handbook','2026-11-24T16:59:09.836704Z','score','01a20e7f3e8c700d944f6c6de346c3ee');
INSERT INTO "changes" VALUES(9,'handbook','2026-11-24T16:59:09.836704Z','score','01a20e7f3e8c777c85cd2714952a7d81');
INSERT INTO "changes" VALUES(10,'handbook','2026-11-24T16:59:09.854938Z','job','01a20e7f3e9f7017afb88204da35c90c');
INSERT INTO "changes" VALUES(11,'handbook','2026-11-24T16:59:09.862932Z','job','01a20e7f3e9f7017afb88204da35c90c');
CREATE TABLE job_items (
            job INTEGER NOT NULL REFERENCES jobs, key TEXT NOT NULL, value TEXT NOT NULL,
            PRIMARY KEY (job, key)), WITHOUT ROWID;
INSERT INTO "job_items" VALUES(1,'row 1','{"output": "Hi"}');
CREATE TABLE jobs (
            seq INTEGER PRIMARY KEY AUTOINCREMENT,
            id TEXT NOT NULL UNIQUE, project TEXT NOT NULL, kind TEXT NOT NULL, key TEXT NOT NULL,
            status TEXT NOT NULL, total INTEGER, owner TEXT, by TEXT NOT NULL, at TEXT NOT NULL, ended TEXT);
INSERT INTO "jobs" VALUES(1,'01a20e7f3e9f7017afb88204da35c90c','handbook','eval','unfinished','stopped',2,NULL,'person:local','2026-11-24T16:59:09.854938Z','2026-11-24T16:59:09.862932Z');
CREATE TABLE moves (
            id INTEGER PRIMARY KEY AUTOINCREMENT,
            project TEXT NOT NULL, kind TEXT NOT NULL, name TEXT NOT NULL, alias TEXT NOT NULL,
            origin INTEGER REFERENCES artifacts, target INTEGER REFERENCES artifacts, decision TEXT,
            actor TEXT NOT NULL, at TEXT NOT NULL, why TEXT NOT NULL);
INSERT INTO "moves" VALUES(1,'handbook','prompt','answer','production',NULL,1,NULL,'person:local','2026-11-24T16:59:09.463005Z','newest');
INSERT INTO "moves" VALUES(2,'handbook','prompt','answer','production',1,2,NULL,'person:local','2026-11-24T16:59:09.499134Z','newest');
INSERT INTO "moves" VALUES(3,'handbook','prompt','answer','production',2,1,NULL,'person:local','2026-11-24T16:59:09.544117Z','users complain');
CREATE TABLE scores (
            seq INTEGER PRIMARY KEY AUTOINCREMENT,
            project TEXT NOT NULL, id TEXT NOT NULL, target TEXT NOT NULL, name TEXT NOT NULL, value TEXT NOT NULL,
            by TEXT NOT NULL, why TEXT NOT NULL, at TEXT NOT NULL, time INTEGER NOT NULL, data TEXT NOT NULL,
            UNIQUE (project, id));
INSERT INTO "scores" VALUES(1,'handbook','01a20e7f3e8c700d944f6c6de346c3ee','t1','helpful','true','person:ana','','2026-11-24T16:59:09.836595Z',1795539549836595000,'{}');
INSERT INTO "scores" VALUES(2,'handbook','01a20e7f3e8c777c85cd2714952a7d81','t1','exact','null','scorer:exact@1','no verdict','2026-11-24T16:59:09.836679Z',1795539549836679000,'{}');
CREATE TABLE uses (
            artifact INTEGER NOT NULL REFERENCES artifacts, role TEXT NOT NULL,
            target INTEGER NOT NULL REFERENCES artifacts,
            PRIMARY KEY (artifact, role, target)), WITHOUT ROWID;
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
