using System.Buffers.Binary;
using Godwit.Storage.Files;

namespace Godwit.Storage.Formats;

/// <summary>Recognizes image formats by their marks. Only reads; any content and any length is fine.</summary>
/// <remarks>The bytes of a raw disk belong to its guest, who can write any mark there. So a guess is only for files whose
/// format nobody has recorded; what is known to be raw must be opened as raw.</remarks>
internal static class ImageSignatures
{
    private const int HeadLength = 4096;
    private const int FooterLength = 512;

    // [MS-VHDX] 2.2: both headers and both region tables have fixed places.
    private static readonly (long Offset, uint Mark)[] VhdxParts =
    [
        (0x10000, 0x64616568), (0x20000, 0x64616568), (0x30000, 0x69676572), (0x40000, 0x69676572),
    ];

    /// <summary>Looks at the head, the tail and the fixed places of a file.</summary>
    /// <exception cref="StorageException">The file could not be read.</exception>
    public static async ValueTask<DetectedImage> DetectAsync(IStorageFile file, CancellationToken cancellationToken)
    {
        var head = new byte[Math.Min(file.Length, HeadLength)];
        await file.ReadAsync(0, head, cancellationToken).ConfigureAwait(false);
        var tail = new byte[Math.Min(file.Length, FooterLength)];
        await file.ReadAsync(file.Length - tail.Length, tail, cancellationToken).ConfigureAwait(false);
        if (head.AsSpan().StartsWith("vhdxfile"u8))
            return new DetectedImage(ImageKind.Vhdx, "VHDX", 0);
        if (head.AsSpan().StartsWith("conectix"u8))
            return new DetectedImage(ImageKind.Vhd, "VHD", 0);
        if (FromHead(head) is string name)
            return new DetectedImage(ImageKind.Foreign, name, 0);
        if (VhdFooterIn(tail) is int at)
            return new DetectedImage(ImageKind.Vhd, "VHD", file.Length - tail.Length + at);
        if (tail.AsSpan().StartsWith("koly"u8))
            return new DetectedImage(ImageKind.Foreign, "Apple disk image", file.Length - tail.Length);
        return await HasVhdxPartsAsync(file, cancellationToken).ConfigureAwait(false)
            ? new DetectedImage(ImageKind.DamagedVhdx, "VHDX", 0)
            : new DetectedImage(ImageKind.Raw, "raw", 0);
    }

    private static string? FromHead(ReadOnlySpan<byte> head) => head switch
    {
        _ when head.StartsWith((ReadOnlySpan<byte>)[(byte)'Q', (byte)'F', (byte)'I', 0xfb]) => "QCOW",
        _ when head.StartsWith("QED\0"u8) => "QED",
        _ when head.StartsWith("KDMV"u8) || head.StartsWith("COWD"u8) || head.StartsWith("# Disk DescriptorFile"u8) => "VMDK",
        _ when head.Length >= 0x44 && head[0x40..].StartsWith((ReadOnlySpan<byte>)[0x7f, 0x10, 0xda, 0xbe]) => "VDI",
        _ when head.StartsWith("WithoutFreeSpace"u8) || head.StartsWith("WithouFreSpacExt"u8) => "Parallels",
        _ when head.StartsWith("Bochs Virtual HD Image"u8) => "Bochs",
        _ when head.StartsWith("MSWIM\0\0\0"u8) => "WIM",
        _ => null,
    };

    /// <summary>Where in the last sector a VHD's footer starts; old versions of Virtual PC wrote it one byte short.</summary>
    private static int? VhdFooterIn(ReadOnlySpan<byte> tail)
    {
        if (tail.StartsWith("conectix"u8))
            return 0;
        return tail.Length == FooterLength && tail[1..].StartsWith("conectix"u8) ? 1 : null;
    }

    private static async ValueTask<bool> HasVhdxPartsAsync(IStorageFile file, CancellationToken cancellationToken)
    {
        var found = 0;
        var mark = new byte[sizeof(uint)];
        foreach (var (offset, expected) in VhdxParts)
        {
            if (offset + mark.Length > file.Length)
                break;
            await file.ReadAsync(offset, mark, cancellationToken).ConfigureAwait(false);
            if (BinaryPrimitives.ReadUInt32LittleEndian(mark) == expected)
                found++;
        }

        // One may be chance or the guest's own bytes; two at their exact places are not.
        return found >= 2;
    }
}
