namespace Godwit.ControlPlane.Store;

/// <summary>The name this host's state folder goes by in ownership records. Made once, kept in the store.</summary>
public static class HostIdentity
{
    /// <summary>Reads the identity, making one on first use.</summary>
    /// <param name="database">The host's store.</param>
    public static string Read(Database database)
    {
        database.Execute(
            "INSERT OR IGNORE INTO meta (key, value) VALUES ('host', $value)", ("$value", Guid.NewGuid().ToString("D")));
        return database.Query("SELECT value FROM meta WHERE key = 'host'", row => row.GetString(0))[0];
    }
}
