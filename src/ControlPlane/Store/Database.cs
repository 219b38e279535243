using Godwit.Api;
using Microsoft.Data.Sqlite;

namespace Godwit.ControlPlane.Store;

/// <summary>
/// The host's SQLite file: VMs, ownership records and the job journal. Every committed change survives a power cut
/// (WAL with synchronous=FULL): a step is journalled before it acts, so the journal must not lag behind the act.
/// </summary>
/// <remarks>Thread-safe: one connection behind a lock. Statements take well under a millisecond, so calls are synchronous.</remarks>
public sealed class Database : IDisposable
{
    private readonly Lock _gate = new();
    private readonly SqliteConnection _connection;
    private SqliteTransaction? _transaction;

    private Database(SqliteConnection connection) => _connection = connection;

    /// <summary>Opens the file, creating or upgrading its tables.</summary>
    /// <param name="path">An absolute path, or ":memory:" for a store that goes with this object.</param>
    /// <exception cref="GodwitException"><see cref="ErrorCode.Unsupported"/> when a newer version wrote the file,
    /// <see cref="ErrorCode.Corrupt"/> when it is no SQLite file.</exception>
    public static Database Open(string path)
    {
        // No pool: a pooled connection would keep the file open after Dispose.
        var text = new SqliteConnectionStringBuilder { DataSource = path, Pooling = false }.ToString();
        var database = new Database(new SqliteConnection(text));
        try
        {
            Guarded(() =>
            {
                database._connection.Open();
                database.Run("PRAGMA journal_mode=WAL");
                database.Run("PRAGMA synchronous=FULL");
                database.Run("PRAGMA foreign_keys=ON");
                database.Run("PRAGMA busy_timeout=5000");
                Schema.Upgrade(database);
                return 0;
            });
            return database;
        }
        catch
        {
            database.Dispose();
            throw;
        }
    }

    /// <summary>Closes the file.</summary>
    public void Dispose() => _connection.Dispose();

    /// <summary>Runs several statements as one change: all or nothing.</summary>
    internal void Transact(Action work)
    {
        lock (_gate)
        {
            if (_transaction is not null)
            {
                work();
                return;
            }
            Guarded(() =>
            {
                using var transaction = _connection.BeginTransaction();
                _transaction = transaction;
                try
                {
                    work();
                    transaction.Commit();
                }
                finally
                {
                    _transaction = null;
                }
                return 0;
            });
        }
    }

    /// <summary>Runs one statement and answers how many rows it changed.</summary>
    internal int Execute(string sql, params ReadOnlySpan<(string Name, object? Value)> parameters)
    {
        lock (_gate)
        {
            using var command = Command(sql, parameters);
            return Guarded(command.ExecuteNonQuery);
        }
    }

    /// <summary>Runs a query and maps each row.</summary>
    internal List<T> Query<T>(string sql, Func<SqliteDataReader, T> map, params ReadOnlySpan<(string Name, object? Value)> parameters)
    {
        lock (_gate)
        {
            using var command = Command(sql, parameters);
            return Guarded(() =>
            {
                using var reader = command.ExecuteReader();
                var rows = new List<T>();
                while (reader.Read())
                {
                    rows.Add(map(reader));
                }
                return rows;
            });
        }
    }

    private void Run(string sql) => Execute(sql);

    private SqliteCommand Command(string sql, ReadOnlySpan<(string Name, object? Value)> parameters)
    {
        var command = _connection.CreateCommand();
#pragma warning disable CA2100 // Every statement is a constant of this assembly; values travel as parameters.
        command.CommandText = sql;
#pragma warning restore CA2100
        command.Transaction = _transaction;
        foreach (var (name, value) in parameters)
        {
            command.Parameters.AddWithValue(name, value ?? DBNull.Value);
        }
        return command;
    }

    private static T Guarded<T>(Func<T> work)
    {
        try
        {
            return work();
        }
        catch (SqliteException e)
        {
            throw new GodwitException(StoreProblem.From(e), e);
        }
    }
}
