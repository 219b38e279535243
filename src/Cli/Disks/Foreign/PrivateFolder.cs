namespace Godwit.Cli.Disks.Foreign;

/// <summary>A folder that only its owner may enter, for a socket between two programs of one user; removed when disposed.</summary>
internal sealed class PrivateFolder : IDisposable
{
    private readonly string _path = Directory.CreateTempSubdirectory("godwit-").FullName;

    /// <summary>The path of a file in it; short enough for a socket wherever the system's temporary folder is short.</summary>
    public string File(string name) => Path.Combine(_path, name);

    /// <inheritdoc/>
    public void Dispose() => Directory.Delete(_path, recursive: true);
}
