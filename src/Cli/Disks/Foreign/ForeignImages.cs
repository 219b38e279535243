using System.Buffers.Binary;
using Godwit.Storage;
using Godwit.Storage.Files;

namespace Godwit.Cli.Disks.Foreign;

/// <summary>Tells files that only qemu-img reads, and which of them are safe to hand to it unasked.</summary>
/// <remarks>A qcow2 or VMDK can name other files, which qemu would read as the disk's content: the file of a stranger could fetch
/// any file of this computer. Such a one is only read when the user says what it is.</remarks>
internal static class ForeignImages
{
    private const int HeadBytes = 4096;
    private const int DataFileFlag = 4;

    /// <summary>The word for the file's format, or null when it is none of these.</summary>
    /// <exception cref="StorageException"><see cref="StorageErrorKind.Unsupported"/>: it names other files; or it cannot be read.</exception>
    public static async Task<string?> DetectAsync(string path, CancellationToken cancellationToken)
    {
        byte[] head;
        await using (var file = LocalFile.Open(path, readOnly: true))
        {
            head = new byte[Math.Min(HeadBytes, file.Length)];
            await file.ReadAsync(0, head, cancellationToken);
        }

        if (head.AsSpan().StartsWith((ReadOnlySpan<byte>)[(byte)'Q', (byte)'F', (byte)'I', 0xfb]))
            return NamesOtherFiles(head) ? throw Refuse(path, "qcow2", "a backing or data file") : "qcow2";
        if (head.AsSpan().StartsWith("# Disk DescriptorFile"u8))
            throw Refuse(path, "vmdk", "the files with its data");
        return head.AsSpan().StartsWith("KDMV"u8) ? await DetectSparseAsync(path, head, cancellationToken) : null;
    }

    // qcow2 header: backing_file_offset at 8; version at 4; from version 3 incompatible features at 72, bit 2 an external data file.
    private static bool NamesOtherFiles(ReadOnlySpan<byte> head) =>
        head.Length < 104
        || BinaryPrimitives.ReadUInt64BigEndian(head[8..]) != 0
        || (BinaryPrimitives.ReadUInt32BigEndian(head[4..]) >= 3 && (BinaryPrimitives.ReadUInt64BigEndian(head[72..]) & DataFileFlag) != 0);

    // VMDK sparse extent header: the sector and length of the text that may name a parent at 28 and 36, little endian.
    private static async Task<string> DetectSparseAsync(string path, byte[] head, CancellationToken cancellationToken)
    {
        await using var file = LocalFile.Open(path, readOnly: true);
        var (sector, sectors) = head.Length < 44
            ? (0, 0)
            : (BinaryPrimitives.ReadUInt64LittleEndian(head.AsSpan(28)), BinaryPrimitives.ReadUInt64LittleEndian(head.AsSpan(36)));
        if (sectors is 0 or > 2048 || sector > (ulong)file.Length / 512 || (sector + sectors) * 512 > (ulong)file.Length)
            throw Refuse(path, "vmdk", "no descriptor of its own, so perhaps other files");
        var text = new byte[sectors * 512];
        await file.ReadAsync((long)sector * 512, text, cancellationToken);
        var hasParent = text.AsSpan().IndexOf("parentFileNameHint"u8) >= 0;
        var extents = Count(text, "SPARSE \""u8) + Count(text, "FLAT \""u8) + Count(text, "ZERO "u8) + Count(text, "VMFS"u8);
        return hasParent || extents != 1 || Count(text, "SPARSE \""u8) != 1 ? throw Refuse(path, "vmdk", "other files") : "vmdk";
    }

    private static int Count(ReadOnlySpan<byte> text, ReadOnlySpan<byte> word)
    {
        var count = 0;
        for (var at = text.IndexOf(word); at >= 0; at = text.IndexOf(word))
        {
            count++;
            text = text[(at + word.Length)..];
        }

        return count;
    }

    private static StorageException Refuse(string path, string word, string what) => new(
        StorageErrorKind.Unsupported,
        $"this {word} names {what}, which qemu would read as a part of the disk; if you trust where it comes from, give --source-format {word}",
        path,
        operation: "convert");
}
