namespace Godwit.ControlPlane.Tests.Api;

/// <summary>A folder that goes away with the test. Its path is short: unix sockets allow 107 bytes.</summary>
internal sealed class TemporaryFolder : IDisposable
{
    public string Path { get; } = Directory.CreateTempSubdirectory("gw-").FullName;

    public string this[string name] => System.IO.Path.Combine(Path, name);

    public void Dispose() => Directory.Delete(Path, recursive: true);
}
