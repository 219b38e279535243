using System.Globalization;
using Godwit.Api;

namespace Godwit.ControlPlane.Store;

/// <summary>The tables, as a list of upgrades: version n of the file has had the first n applied.</summary>
internal static class Schema
{
    private static readonly string[] Upgrades =
    [
        """
        CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;
        CREATE TABLE vms (id TEXT PRIMARY KEY, name TEXT NOT NULL COLLATE NOCASE UNIQUE, body TEXT NOT NULL) STRICT;
        CREATE TABLE ownership (
            vm TEXT PRIMARY KEY, owner TEXT NOT NULL, generation INTEGER NOT NULL, phase INTEGER NOT NULL) STRICT;
        CREATE TABLE jobs (
            number INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, kind TEXT NOT NULL, vm TEXT NOT NULL,
            target TEXT NOT NULL, order_json TEXT NOT NULL, state INTEGER NOT NULL, current INTEGER NOT NULL,
            committed INTEGER NOT NULL, cancel INTEGER NOT NULL, problem TEXT, progress TEXT,
            created INTEGER NOT NULL, ended INTEGER) STRICT;
        CREATE TABLE job_steps (
            job TEXT NOT NULL REFERENCES jobs(id) ON DELETE CASCADE, ordinal INTEGER NOT NULL,
            name TEXT NOT NULL, phase TEXT NOT NULL, state INTEGER NOT NULL, PRIMARY KEY (job, ordinal)) STRICT;
        CREATE TABLE job_notes (
            job TEXT NOT NULL REFERENCES jobs(id) ON DELETE CASCADE, ordinal INTEGER NOT NULL,
            text TEXT NOT NULL, PRIMARY KEY (job, ordinal)) STRICT;
        CREATE TABLE job_facts (
            job TEXT NOT NULL REFERENCES jobs(id) ON DELETE CASCADE, name TEXT NOT NULL,
            value TEXT NOT NULL, PRIMARY KEY (job, name)) STRICT;
        """,
        // Settings became one record; the folder is given when the daemon has started.
        """
        UPDATE vms SET body = json_set(
            json_remove(body, '$.memory', '$.cpus', '$.kernel', '$.initrd', '$.append', '$.serial'),
            '$.path', '', '$.settings', json_patch('{}', json_object(
                'memory', json_extract(body, '$.memory'), 'cpus', json_extract(body, '$.cpus'),
                'kernel', json_extract(body, '$.kernel'), 'initrd', json_extract(body, '$.initrd'),
                'append', json_extract(body, '$.append'), 'serial', json_extract(body, '$.serial'))));
        """,
        """
        CREATE TABLE tokens (
            name TEXT PRIMARY KEY COLLATE NOCASE, hash BLOB NOT NULL UNIQUE, role INTEGER NOT NULL,
            created INTEGER NOT NULL, expires INTEGER, used INTEGER) STRICT;
        CREATE TABLE join_tokens (
            hash BLOB PRIMARY KEY, name TEXT NOT NULL, addresses TEXT NOT NULL, expires INTEGER NOT NULL) STRICT;
        CREATE TABLE audit (
            number INTEGER PRIMARY KEY AUTOINCREMENT, time INTEGER NOT NULL, caller TEXT NOT NULL, role INTEGER,
            origin INTEGER NOT NULL, address TEXT, method TEXT NOT NULL, route TEXT, target TEXT NOT NULL,
            refused INTEGER NOT NULL, status INTEGER, code INTEGER, request TEXT NOT NULL) STRICT;
        CREATE INDEX audit_refused ON audit (refused, number);
        CREATE TABLE answers (
            caller TEXT NOT NULL, key TEXT NOT NULL, request BLOB NOT NULL, created INTEGER NOT NULL,
            status INTEGER, type TEXT, location TEXT, body BLOB, PRIMARY KEY (caller, key)) STRICT;
        """,
    ];

    public static int Newest => Upgrades.Length;

    public static void Upgrade(Database database)
    {
        var found = (int)database.Query("PRAGMA user_version", row => row.GetInt64(0))[0];
        if (found > Newest)
        {
            throw new GodwitException(
                ErrorCode.Unsupported,
                $"The host's store has version {found}; this godwitd knows versions up to {Newest}.",
                "Start the newer godwitd that wrote it.");
        }
        for (var version = found; version < Newest; version++)
        {
            // The version moves in the same transaction as the tables: a crash leaves the old one or the new one.
            database.Transact(() =>
            {
                database.Execute(Upgrades[version]);
                database.Execute("PRAGMA user_version=" + (version + 1).ToString(CultureInfo.InvariantCulture));
            });
        }
    }
}
