using Godwit.Storage.Files;
using Godwit.Testing.Files;

namespace Godwit.Storage.Tests.Mirror;

/// <summary>Two files and a bitmap, and what a killed process would leave of them before and after every change of a file.</summary>
/// <remarks>While a snapshot is taken the files stand still and the marks may move; each granule's content and mark are
/// nevertheless a pair that existed at one instant, and granules do not depend on one another.</remarks>
internal sealed class KillPoints(MemoryFile source, MemoryFile target, string bitmapPath)
{
    private readonly Lock _gate = new();

    public List<State> States { get; } = [];

    public IStorageFile Source => new File(this, source);

    public IStorageFile Target => new File(this, target);

    /// <summary>Keep one in so many; the events in between are skipped.</summary>
    public int Every { get; init; } = 1;

    private int _events;

    private ValueTask Change<T>(T change, Func<T, ValueTask> run)
    {
        lock (_gate)
        {
            Take();
            var done = run(change);
            Take();
            return done;
        }
    }

    private void Take()
    {
        if (_events++ % Every == 0)
            States.Add(new State(source.Copy(), target.Copy(), System.IO.File.ReadAllBytes(bitmapPath)));
    }

    public sealed record State(MemoryFile Source, MemoryFile Target, byte[] Bitmap);

    private sealed class File(KillPoints points, MemoryFile inner) : IStorageFile
    {
        public string Path => inner.Path;

        public long Length => inner.Length;

        public bool IsReadOnly => false;

        public ValueTask ReadAsync(long offset, Memory<byte> buffer, CancellationToken cancellationToken) =>
            inner.ReadAsync(offset, buffer, cancellationToken);

        public ValueTask WriteAsync(long offset, ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken) =>
            points.Change((offset, buffer), change => inner.WriteAsync(change.offset, change.buffer, cancellationToken));

        public ValueTask FlushAsync(CancellationToken cancellationToken) => inner.FlushAsync(cancellationToken);

        public ValueTask SetLengthAsync(long length, CancellationToken cancellationToken) => inner.SetLengthAsync(length, cancellationToken);

        public ValueTask PunchHoleAsync(long offset, long length, CancellationToken cancellationToken) =>
            points.Change((offset, length), change => inner.PunchHoleAsync(change.offset, change.length, cancellationToken));

        public ValueTask AllocateZeroesAsync(long offset, long length, CancellationToken cancellationToken) =>
            points.Change((offset, length), change => inner.AllocateZeroesAsync(change.offset, change.length, cancellationToken));

        public ValueTask<Extent> GetExtentAsync(long offset, long length, CancellationToken cancellationToken) =>
            inner.GetExtentAsync(offset, length, cancellationToken);

        public ValueTask DisposeAsync() => ValueTask.CompletedTask;
    }
}
