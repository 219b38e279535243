using Godwit.Storage.Files;
using Godwit.Testing.Files;

namespace Godwit.Fuzz.Engine;

/// <summary>A number or an identifier in a structure.</summary>
/// <param name="At">Bytes from the structure's start.</param>
/// <param name="Width">1, 2, 4 or 8 for a number, 16 for an identifier.</param>
internal readonly record struct Field(int At, int Width);

/// <summary>A structure of an image that a target changes.</summary>
/// <param name="Name">For people.</param>
/// <param name="Offset">Where it starts in the file.</param>
/// <param name="Length">Bytes of it that mean something.</param>
/// <param name="Fields">Its known fields; changed more often than bytes anywhere.</param>
internal sealed record Area(string Name, long Offset, int Length, IReadOnlyList<Field> Fields);

/// <summary>A sound image to start from; never changed itself.</summary>
/// <param name="Name">For people.</param>
/// <param name="File">Its bytes.</param>
/// <param name="Areas">What is changed in it.</param>
/// <param name="BigEndian">How its numbers are written.</param>
internal sealed record FuzzImage(string Name, MemoryFile File, IReadOnlyList<Area> Areas, bool BigEndian = false)
{
    // A file system's own limit is about here; a longer file cannot come to us.
    private const long MaxLength = 1L << 60;

    /// <summary>A copy of the image with the changes of an input.</summary>
    public async ValueTask<MemoryFile> ApplyAsync(FuzzInput input)
    {
        var file = File.Copy(Name);
        foreach (var step in input.Steps)
        {
            switch (step.Kind)
            {
                case StepKind.Write when step.Offset >= 0 && step.End <= MaxLength:
                    await file.WriteAsync(step.Offset, step.Bytes, CancellationToken.None);
                    break;
                case StepKind.Copy when step.Offset >= 0 && step.From >= 0 && step.From + step.Length <= file.Length && step.End <= MaxLength:
                    await file.WriteAsync(step.Offset, await file.ReadBytesAsync(step.From, step.Length), CancellationToken.None);
                    break;
                case StepKind.Resize when step.Offset is >= 0 and <= MaxLength:
                    await file.SetLengthAsync(step.Offset, CancellationToken.None);
                    break;
            }
        }

        return file;
    }
}

internal static class FileReading
{
    /// <summary>Bytes of a file as a new array.</summary>
    public static async ValueTask<byte[]> ReadBytesAsync(this IStorageFile file, long offset, int length)
    {
        var bytes = new byte[length];
        await file.ReadAsync(offset, bytes, CancellationToken.None);
        return bytes;
    }
}
