using System.Globalization;
using System.Text;

namespace Godwit.Fuzz.Engine;

/// <summary>What is put right in an image after the changes, so that they are seen behind its checksums.</summary>
[Flags]
internal enum Seals
{
    /// <summary>Nothing: a checksum that does not fit stays so.</summary>
    None = 0,

    /// <summary>Every checksum of a structure that was changed.</summary>
    Checksums = 1,

    /// <summary>What repeats a number inside a structure: the sequence numbers in the parts of a log entry.</summary>
    Repeats = 2,
}

/// <summary>One change of an image.</summary>
/// <param name="Kind">What is done.</param>
/// <param name="Offset">First byte that changes; the new length for <see cref="StepKind.Resize"/>.</param>
/// <param name="From">Where a copy comes from.</param>
/// <param name="Length">Bytes of a copy.</param>
/// <param name="Bytes">What is written.</param>
internal sealed record FuzzStep(StepKind Kind, long Offset, long From, int Length, byte[] Bytes)
{
    public long End => Offset + (Kind == StepKind.Write ? Bytes.Length : Length);

    public static FuzzStep Write(long offset, byte[] bytes) => new(StepKind.Write, offset, 0, 0, bytes);

    public static FuzzStep Copy(long from, long to, int length) => new(StepKind.Copy, to, from, length, []);

    public static FuzzStep Resize(long length) => new(StepKind.Resize, length, 0, 0, []);
}

internal enum StepKind
{
    Write = 0,
    Copy = 1,
    Resize = 2,
}

/// <summary>An image of the target's list and what is changed in it. Small whatever the image's size, and readable as text.</summary>
/// <param name="Image">Which image; taken modulo their number.</param>
/// <param name="Seals">What is put right afterwards.</param>
/// <param name="Steps">The changes in order.</param>
internal sealed record FuzzInput(int Image, Seals Seals, IReadOnlyList<FuzzStep> Steps)
{
    /// <summary>A change reaches into these bytes.</summary>
    public bool Touches(long offset, long length)
    {
        foreach (var step in Steps)
        {
            if (step.Kind != StepKind.Resize && step.Offset < offset + length && step.End > offset)
                return true;
        }

        return false;
    }

    /// <summary>One line per change; what <see cref="Parse"/> reads.</summary>
    public override string ToString()
    {
        var text = new StringBuilder();
        text.AppendLine(CultureInfo.InvariantCulture, $"image {Image}");
        text.AppendLine(CultureInfo.InvariantCulture, $"seals {(int)Seals}");
        foreach (var step in Steps)
        {
            text.AppendLine(step.Kind switch
            {
                StepKind.Write => $"write {step.Offset} {Convert.ToHexStringLower(step.Bytes)}",
                StepKind.Copy => $"copy {step.From} {step.Offset} {step.Length}",
                _ => $"resize {step.Offset}",
            });
        }

        return text.ToString();
    }

    /// <summary>Reads the text form; lines that start with '#' are remarks.</summary>
    public static FuzzInput Parse(string text)
    {
        var image = 0;
        var seals = Seals.None;
        var steps = new List<FuzzStep>();
        foreach (var line in text.Split('\n', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries))
        {
            if (line.StartsWith('#'))
                continue;
            var words = line.Split(' ');
            switch (words[0])
            {
                case "image": image = (int)Number(words[1]); break;
                case "seals": seals = (Seals)Number(words[1]); break;
                case "write": steps.Add(FuzzStep.Write(Number(words[1]), Convert.FromHexString(words[2]))); break;
                case "copy": steps.Add(FuzzStep.Copy(Number(words[1]), Number(words[2]), (int)Number(words[3]))); break;
                case "resize": steps.Add(FuzzStep.Resize(Number(words[1]))); break;
                default: throw new FormatException($"no such line in an input: {line}");
            }
        }

        return new FuzzInput(image, seals, steps);
    }

    private static long Number(string word) => long.Parse(word, CultureInfo.InvariantCulture);
}
