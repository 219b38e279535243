using Godwit.Nbd.Protocol;
using Godwit.Storage;
using Godwit.Testing.Disks;

namespace Godwit.Fuzz.Nbd;

/// <summary>A disk that remembers every change that reached it.</summary>
internal sealed class ChangeJournal(long size) : DelegatingBlockDevice(new ReferenceDisk(size))
{
    private readonly List<Change> _changes = [];

    public IReadOnlyList<Change> Take()
    {
        lock (_changes)
        {
            Change[] taken = [.. _changes];
            _changes.Clear();
            return taken;
        }
    }

    protected override ValueTask WriteCoreAsync(long offset, ReadOnlyMemory<byte> buffer, WriteFlags flags, CancellationToken cancellationToken)
    {
        Add(new Change(NbdCommand.Write, offset, buffer.Length, buffer.ToArray()));
        return base.WriteCoreAsync(offset, buffer, flags, cancellationToken);
    }

    protected override ValueTask TrimCoreAsync(long offset, long length, CancellationToken cancellationToken)
    {
        Add(new Change(NbdCommand.Trim, offset, length, []));
        return base.TrimCoreAsync(offset, length, cancellationToken);
    }

    protected override ValueTask WriteZeroesCoreAsync(long offset, long length, WriteFlags flags, CancellationToken cancellationToken)
    {
        Add(new Change(NbdCommand.WriteZeroes, offset, length, []));
        return base.WriteZeroesCoreAsync(offset, length, flags, cancellationToken);
    }

    private void Add(Change change)
    {
        lock (_changes)
            _changes.Add(change);
    }

    /// <summary>What reached the disk.</summary>
    internal sealed record Change(NbdCommand Command, long Offset, long Length, byte[] Bytes)
    {
        /// <summary>Somewhere in these bytes stands a whole request for exactly this.</summary>
        public bool IsAskedFor(ReadOnlySpan<byte> sent)
        {
            for (var at = 0; at + NbdMagic.RequestLength <= sent.Length; at++)
            {
                if (IsAskedForBy(sent[at..], extended: false) || (at + NbdMagic.ExtendedRequestLength <= sent.Length && IsAskedForBy(sent[at..], extended: true)))
                    return true;
            }

            return false;
        }

        private bool IsAskedForBy(ReadOnlySpan<byte> bytes, bool extended) =>
            RequestHeader.TryParse(bytes, extended, out var request) && request.Command == Command && request.Offset == (ulong)Offset
            && request.Length == (ulong)Length && bytes[request.HeaderLength..].StartsWith(Bytes);
    }
}
