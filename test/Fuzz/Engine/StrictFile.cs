using Godwit.Storage;
using Godwit.Storage.Files;
using Godwit.Testing.Files;

namespace Godwit.Fuzz.Engine;

/// <summary>A file that takes a read outside it for a defect of the caller, and a write for one where none is allowed.</summary>
/// <param name="inner">The bytes.</param>
/// <param name="readOnly">Says so, as a file opened for reading does.</param>
/// <param name="mayWrite">False: every change is a finding whatever the file says about itself.</param>
internal sealed class StrictFile(MemoryFile inner, bool readOnly, bool mayWrite) : IStorageFile
{
    public string Path => inner.Path;

    public long Length => inner.Length;

    public bool IsReadOnly => readOnly;

    public ValueTask ReadAsync(long offset, Memory<byte> buffer, CancellationToken cancellationToken)
    {
        // Nothing is nowhere: an empty value of a locator may claim any place.
        if (buffer.IsEmpty && offset >= 0)
            return ValueTask.CompletedTask;
        if (offset < 0 || offset > inner.Length - buffer.Length)
            throw new FuzzFinding($"reads {buffer.Length} bytes at {offset}, outside the file of {inner.Length} bytes");
        return inner.ReadAsync(offset, buffer, cancellationToken);
    }

    public ValueTask WriteAsync(long offset, ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken)
    {
        CheckChange("writes", offset);
        return inner.WriteAsync(offset, buffer, cancellationToken);
    }

    public ValueTask FlushAsync(CancellationToken cancellationToken) => inner.FlushAsync(cancellationToken);

    public ValueTask SetLengthAsync(long length, CancellationToken cancellationToken)
    {
        CheckChange("sets the length", length);
        return inner.SetLengthAsync(length, cancellationToken);
    }

    public ValueTask PunchHoleAsync(long offset, long length, CancellationToken cancellationToken)
    {
        CheckChange("punches a hole", offset);
        CheckInside("punches", offset, length);
        return inner.PunchHoleAsync(offset, length, cancellationToken);
    }

    public ValueTask AllocateZeroesAsync(long offset, long length, CancellationToken cancellationToken)
    {
        CheckChange("allocates", offset);
        CheckInside("allocates", offset, length);
        return inner.AllocateZeroesAsync(offset, length, cancellationToken);
    }

    public ValueTask<Extent> GetExtentAsync(long offset, long length, CancellationToken cancellationToken)
    {
        CheckInside("asks for an extent of", offset, length);
        if (length == 0)
            throw new FuzzFinding($"asks for an extent of nothing at {offset}");
        return inner.GetExtentAsync(offset, length, cancellationToken);
    }

    public ValueTask DisposeAsync() => inner.DisposeAsync();

    private void CheckChange(string what, long offset)
    {
        if (!mayWrite)
            throw new FuzzFinding($"{what} at {offset} though it was to read only");
        if (offset < 0)
            throw new FuzzFinding($"{what} at the negative offset {offset}");
    }

    private void CheckInside(string what, long offset, long length)
    {
        if (offset < 0 || length < 0 || offset > inner.Length - length)
            throw new FuzzFinding($"{what} {length} bytes at {offset}, outside the file of {inner.Length} bytes");
    }
}
