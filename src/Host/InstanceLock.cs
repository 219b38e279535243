using Godwit.Api;

namespace Godwit.Host;

/// <summary>Keeps a second godwitd off the same state folder. The kernel lets go of it with the process.</summary>
internal sealed class InstanceLock : IDisposable
{
    private readonly FileStream _file;

    private InstanceLock(FileStream file) => _file = file;

    /// <exception cref="GodwitException"><see cref="ErrorCode.Busy"/>.</exception>
    public static InstanceLock Take(string path)
    {
        try
        {
            // FileShare.None is an exclusive flock on Unix.
            return new InstanceLock(new FileStream(path, FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None));
        }
        catch (IOException e) when (File.Exists(path))
        {
            throw new GodwitException(new Problem(
                ErrorCode.Busy, $"Another godwitd works in '{Path.GetDirectoryName(path)}'.", "Use that one, or give this one another --state."), e);
        }
    }

    public void Dispose() => _file.Dispose();
}
