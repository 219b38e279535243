using System.Globalization;

namespace Godwit.Storage;

/// <summary>A storage operation failed. Carries what a person needs to act: which file, where in it, doing what, and why.</summary>
public sealed class StorageException : IOException
{
    /// <summary>Creates the exception.</summary>
    /// <param name="kind">What went wrong.</param>
    /// <param name="reason">The reason in a sentence, without path or offset; they are added here.</param>
    /// <param name="path">The file concerned, or null when the device is not a file.</param>
    /// <param name="offset">Byte offset in that file (for formats) or device, or null when no place is to blame.</param>
    /// <param name="operation">The operation in one word, for example "read".</param>
    /// <param name="inner">The cause, if another exception led here.</param>
    public StorageException(
        StorageErrorKind kind, string reason, string? path = null, long? offset = null, string? operation = null, Exception? inner = null)
        : base(Compose(reason, path, offset, operation), inner)
    {
        Kind = kind;
        Reason = reason;
        Path = path;
        Offset = offset;
        Operation = operation;
    }

    /// <summary>What went wrong.</summary>
    public StorageErrorKind Kind { get; }

    /// <summary>The reason alone, without path and offset.</summary>
    public string Reason { get; }

    /// <summary>The file concerned, if any.</summary>
    public string? Path { get; }

    /// <summary>Byte offset in the file or device, if a place is to blame.</summary>
    public long? Offset { get; }

    /// <summary>The operation in one word, if known.</summary>
    public string? Operation { get; }

    private static string Compose(string reason, string? path, long? offset, string? operation)
    {
        var where = offset is long at ? string.Create(CultureInfo.InvariantCulture, $" at offset {at} (0x{at:x})") : "";
        var file = path is null ? "" : $"{path}: ";
        var doing = operation is null ? "" : $"{operation}: ";
        return $"{file}{doing}{reason}{where}";
    }
}
