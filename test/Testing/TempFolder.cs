namespace Godwit.Testing;

/// <summary>A folder of its own for one test, removed with all it holds when disposed.</summary>
public sealed class TempFolder : IDisposable
{
    /// <summary>Creates the folder, in the system's temporary folder unless told otherwise.</summary>
    public TempFolder(string? parent = null)
    {
        Path = System.IO.Path.Combine(parent ?? System.IO.Path.GetTempPath(), $"godwit-test-{Guid.NewGuid():n}");
        Directory.CreateDirectory(Path);
    }

    public string Path { get; }

    /// <summary>The path of a file in the folder.</summary>
    public string File(string name) => System.IO.Path.Combine(Path, name);

    public void Dispose()
    {
        if (Directory.Exists(Path))
            Directory.Delete(Path, recursive: true);
    }
}
