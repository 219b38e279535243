using System.Buffers.Binary;
using System.Text;
using Godwit.Storage.Files;
using Godwit.Storage.Formats.Vhdx;

namespace Godwit.Storage.Repair;

/// <summary>How far the repair is that an undo file belongs to.</summary>
internal enum UndoState
{
    /// <summary>It was begun, and the image may be half changed.</summary>
    Begun = 0,

    /// <summary>It is whole.</summary>
    Applied = 1,

    /// <summary>It is being put back, or has been.</summary>
    Restoring = 2,
}

/// <summary>An undo file: the length an image had, and the bytes that stood wherever it was going to be changed.</summary>
/// <remarks>One thread at a time. Only ever written behind its end. What is behind the last whole record was never flushed, so
/// nothing of the image depended on it. The layout is in docs/design/repair.md.</remarks>
internal sealed class UndoJournal
{
    private const int HeaderLength = 512;
    private const int ChecksumAt = 12;
    private const int NameAt = 48;
    private const int MaxName = 255;
    private const uint Version = 1;
    private readonly IStorageFile _file;
    private readonly ulong _salt;
    private long _end = HeaderLength;
    private long _sequence;

    private UndoJournal(IStorageFile file, ReadOnlySpan<byte> header)
    {
        _file = file;
        _salt = BinaryPrimitives.ReadUInt64LittleEndian(header[24..]) ^ BinaryPrimitives.ReadUInt64LittleEndian(header[32..]);
        ImageLength = BinaryPrimitives.ReadInt64LittleEndian(header[16..]);
        ImageName = Encoding.UTF8.GetString(header.Slice(NameAt, header[NameAt - 1]));
    }

    /// <summary>The most bytes one record holds.</summary>
    public const int MaxBytes = 1 << 20;

    private static ReadOnlySpan<byte> Signature => "gdwtundo"u8;

    /// <summary>The file, for messages.</summary>
    public string Path => _file.Path;

    /// <summary>Bytes the image had.</summary>
    public long ImageLength { get; }

    /// <summary>The image's name without its folder, cut to 255 bytes.</summary>
    public string ImageName { get; }

    /// <summary>How far the repair is.</summary>
    public UndoState State { get; private set; }

    /// <summary>Which bytes of the image can be put back.</summary>
    public RangeSet Ranges { get; } = new();

    /// <summary>The last <see cref="UndoRecordKind.Applied"/>.</summary>
    public UndoRecord? Applied { get; private set; }

    /// <summary>Begins an undo file. Flushed when this returns.</summary>
    /// <param name="file">Open for writing, empty.</param>
    /// <param name="image">The image.</param>
    /// <param name="id">Tells this undo file from every other one.</param>
    /// <param name="cancellationToken">Gives up.</param>
    public static async ValueTask<UndoJournal> CreateAsync(IStorageFile file, IStorageFile image, Guid id, CancellationToken cancellationToken)
    {
        var header = new byte[HeaderLength];
        Signature.CopyTo(header);
        BinaryPrimitives.WriteUInt32LittleEndian(header.AsSpan(8), Version);
        BinaryPrimitives.WriteInt64LittleEndian(header.AsSpan(16), image.Length);
        id.TryWriteBytes(header.AsSpan(24));
        var name = NameOf(image);
        header[NameAt - 1] = (byte)name.Length;
        name.CopyTo(header, NameAt);
        BinaryPrimitives.WriteUInt32LittleEndian(header.AsSpan(ChecksumAt), Crc32C.OfStructure(header, ChecksumAt));
        await file.WriteAsync(0, header, cancellationToken).ConfigureAwait(false);
        await file.FlushAsync(cancellationToken).ConfigureAwait(false);
        return new UndoJournal(file, header);
    }

    /// <summary>A file whose process was killed, or whose power was cut, before anything was in it: the image has not been changed.</summary>
    public static async ValueTask<bool> IsBlankAsync(IStorageFile file, CancellationToken cancellationToken)
    {
        if (file.Length > HeaderLength)
            return false;
        var header = new byte[file.Length];
        await file.ReadAsync(0, header, cancellationToken).ConfigureAwait(false);
        return !header.AsSpan().ContainsAnyExcept((byte)0);
    }

    /// <summary>Reads an undo file.</summary>
    /// <exception cref="StorageException">Corrupt: it is none, or of another version; Unsupported.</exception>
    public static async ValueTask<UndoJournal> OpenAsync(IStorageFile file, CancellationToken cancellationToken)
    {
        var header = new byte[HeaderLength];
        if (file.Length >= HeaderLength)
            await file.ReadAsync(0, header, cancellationToken).ConfigureAwait(false);
        if (!header.AsSpan().StartsWith(Signature) || BinaryPrimitives.ReadUInt32LittleEndian(header.AsSpan(ChecksumAt)) != Crc32C.OfStructure(header, ChecksumAt))
        {
            throw new StorageException(StorageErrorKind.Corrupt,
                "this is no undo file, or its first 512 bytes are damaged or were never written: the image has not been changed then", file.Path, 0, "open");
        }

        if (BinaryPrimitives.ReadUInt32LittleEndian(header.AsSpan(8)) is var version && version != Version)
            throw new StorageException(StorageErrorKind.Unsupported, $"undo file version {version}; only version {Version} is known", file.Path, 8, "open");
        var journal = new UndoJournal(file, header);
        if (journal.ImageLength < 0)
            throw new StorageException(StorageErrorKind.Corrupt, $"no image has {journal.ImageLength} bytes", file.Path, 16, "open");
        await journal.ForEachAsync(
            (record, _, _) =>
            {
                journal.Take(record);
                return ValueTask.CompletedTask;
            },
            cancellationToken).ConfigureAwait(false);
        await journal.RefuseDamageAsync(cancellationToken).ConfigureAwait(false);
        return journal;
    }

    /// <summary>Adds a record; it counts once flushed.</summary>
    public async ValueTask AppendAsync(
        UndoRecordKind kind, long offset, long length, ReadOnlyMemory<byte> bytes, CancellationToken cancellationToken)
    {
        var record = new UndoRecord(kind, offset, length, _sequence, Crc32C.Of(bytes.Span));
        await _file.WriteAsync(_end, record.ToBytes(_salt), cancellationToken).ConfigureAwait(false);
        if (!bytes.IsEmpty)
            await _file.WriteAsync(_end + UndoRecord.Size, bytes, cancellationToken).ConfigureAwait(false);
        _end += UndoRecord.Size + record.BytesLength;
        _sequence++;
        Take(record);
    }

    /// <summary>Makes all records survive a power cut.</summary>
    public ValueTask FlushAsync(CancellationToken cancellationToken) => _file.FlushAsync(cancellationToken);

    /// <summary>Hands out the ranges as they were, in the order they were saved; null stands for zeroes. A buffer is valid during its call only.</summary>
    public ValueTask ForEachSavedAsync(Func<long, long, ReadOnlyMemory<byte>?, ValueTask> visit, CancellationToken cancellationToken) =>
        ForEachAsync(
            (record, bytes, _) => record.Kind switch
            {
                UndoRecordKind.Bytes => visit(record.Offset, record.Length, bytes),
                UndoRecordKind.Zeroes => visit(record.Offset, record.Length, null),
                _ => ValueTask.CompletedTask,
            },
            cancellationToken);

    /// <summary>The image has the name that the undo file was made for.</summary>
    public bool IsOf(IStorageFile image) => ImageName == Encoding.UTF8.GetString(NameOf(image));

    private static byte[] NameOf(IStorageFile image)
    {
        var name = Encoding.UTF8.GetBytes(System.IO.Path.GetFileName(image.Path));
        return name[..Math.Min(name.Length, MaxName)];
    }

    /// <summary>A repair that was completed, or a putting back that was begun, flushed everything before it said so: then a record that is
    /// not whole was not cut off but is damaged, and putting half of the image back would help nobody.</summary>
    private async ValueTask RefuseDamageAsync(CancellationToken cancellationToken)
    {
        var head = new byte[UndoRecord.Size];
        if (_end > _file.Length - head.Length)
            return;
        await _file.ReadAsync(_file.Length - head.Length, head, cancellationToken).ConfigureAwait(false);
        if (UndoRecord.TryParse(head, _salt) is { Kind: UndoRecordKind.Applied or UndoRecordKind.Restoring })
        {
            throw new StorageException(StorageErrorKind.Corrupt,
                "the undo file is damaged there, so the image cannot be put back; it is left as it is", _file.Path, _end, "open");
        }
    }

    private void Take(UndoRecord record)
    {
        if (record.Kind == UndoRecordKind.Applied)
            (State, Applied) = (UndoState.Applied, record);
        else if (record.Kind == UndoRecordKind.Restoring)
            State = UndoState.Restoring;
        else
            Ranges.Add(record.Offset, record.Length);
    }

    private async ValueTask ForEachAsync(
        Func<UndoRecord, ReadOnlyMemory<byte>, long, ValueTask> visit, CancellationToken cancellationToken)
    {
        var head = new byte[UndoRecord.Size];
        var buffer = new byte[MaxBytes];
        var (at, sequence) = ((long)HeaderLength, 0L);
        while (at <= _file.Length - UndoRecord.Size)
        {
            await _file.ReadAsync(at, head, cancellationToken).ConfigureAwait(false);
            if (UndoRecord.TryParse(head, _salt) is not UndoRecord record || record.Sequence != sequence
                || record.BytesLength > MaxBytes || at + UndoRecord.Size + record.BytesLength > _file.Length
                || (record.Kind <= UndoRecordKind.Zeroes && record.Offset > ImageLength - record.Length))
            {
                break;
            }

            var bytes = buffer.AsMemory(0, (int)record.BytesLength);
            await _file.ReadAsync(at + UndoRecord.Size, bytes, cancellationToken).ConfigureAwait(false);
            if (Crc32C.Of(bytes.Span) != record.BytesChecksum)
                break;
            await visit(record, bytes, at).ConfigureAwait(false);
            at += UndoRecord.Size + record.BytesLength;
            sequence++;
        }

        (_end, _sequence) = (at, sequence);
    }
}
