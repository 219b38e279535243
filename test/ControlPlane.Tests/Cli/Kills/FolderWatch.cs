namespace Godwit.ControlPlane.Tests.Cli.Kills;

/// <summary>Counts the changes of a folder's files as the kernel reports them, so that a program can be struck at its n-th.</summary>
internal sealed class FolderWatch : IDisposable
{
    private readonly TaskCompletionSource _reached = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly FileSystemWatcher _watcher;
    private readonly int _nth;
    private int _count;

    /// <summary>Begins to watch.</summary>
    /// <param name="folder">The folder.</param>
    /// <param name="nth">The change that <see cref="Reached"/> waits for.</param>
    public FolderWatch(string folder, int nth)
    {
        _nth = nth;
        _watcher = new FileSystemWatcher(folder);
        _watcher.Changed += Count;
        _watcher.Created += Count;
        _watcher.Deleted += Count;
        _watcher.Renamed += Count;
        _watcher.EnableRaisingEvents = true;
    }

    /// <summary>Completes with the n-th change.</summary>
    public Task Reached => _reached.Task;

    /// <summary>Changes seen so far.</summary>
    public int Seen => Volatile.Read(ref _count);

    public void Dispose() => _watcher.Dispose();

    private void Count(object sender, FileSystemEventArgs change)
    {
        if (Interlocked.Increment(ref _count) == _nth)
            _reached.TrySetResult();
    }
}
