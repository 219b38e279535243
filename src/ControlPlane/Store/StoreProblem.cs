using Godwit.Api;
using Microsoft.Data.Sqlite;

namespace Godwit.ControlPlane.Store;

/// <summary>SQLite's error numbers in our words.</summary>
internal static class StoreProblem
{
    private const int Constraint = 19;

    public static Problem From(SqliteException e) => e.SqliteErrorCode switch
    {
        Constraint => new Problem(ErrorCode.AlreadyExists, "The host's store already has an entry of that name."),
        13 => new Problem(ErrorCode.NoSpace, "The host's store cannot grow: its file system is full.",
            "Free space in the state folder of godwitd."),
        11 or 26 => new Problem(ErrorCode.Corrupt, "The host's store (godwit.db) is damaged: " + e.Message,
            "Stop godwitd and restore godwit.db from a backup."),
        3 or 8 or 14 => new Problem(ErrorCode.AccessDenied, "The host's store (godwit.db) cannot be opened for writing: " + e.Message,
            "Check the owner and mode of the state folder."),
        5 or 6 => new Problem(ErrorCode.Busy, "Another program holds the host's store (godwit.db)."),
        10 => new Problem(ErrorCode.IoFailed, "The disk that holds the host's store (godwit.db) failed: " + e.Message),
        _ => new Problem(ErrorCode.Internal, "The host's store failed: " + e.Message),
    };
}
