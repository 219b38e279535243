using System.Buffers.Binary;

namespace Godwit.Fuzz.Engine;

/// <summary>Makes an input from another one. The same random numbers make the same input.</summary>
internal sealed class Mutator(FuzzTarget target, Random random)
{
    private const int MaxSteps = 24;
    private static readonly long[] Edges =
        [0, 1, 2, 3, 4, 5, 6, 7, 8, 64, 127, 128, 255, 256, 511, 512, 513, 1023, 1024, 2047, 2048, 4095, 4096, 4097, 65535, 65536];

    /// <summary>A changed copy of an input.</summary>
    /// <param name="input">The parent.</param>
    /// <param name="other">Another one to take changes from.</param>
    public async ValueTask<FuzzInput> MutateAsync(FuzzInput input, FuzzInput other)
    {
        var steps = new List<FuzzStep>(input.Steps);
        var image = input.Image;
        for (var count = 1 + (random.Next(3) * random.Next(2)); count > 0; count--)
        {
            switch (random.Next(20))
            {
                case 0 when steps.Count > 0:
                    steps.RemoveAt(random.Next(steps.Count));
                    break;
                case 1 or 2 or 3 when steps.Count > 0:
                    ChangeStep(steps, random.Next(steps.Count));
                    break;
                case 4 or 5 when other.Steps.Count > 0:
                    steps.AddRange(other.Steps.Skip(random.Next(other.Steps.Count)).Take(1 + random.Next(4)));
                    break;
                case 6:
                    image = random.Next(target.Images.Count);
                    break;
                default:
                    steps.Add(await NewStepAsync(ImageOf(image)));
                    break;
            }
        }

        if (steps.Count > MaxSteps)
            steps.RemoveRange(0, steps.Count - MaxSteps);
        return new FuzzInput(image, NewSeals(input.Seals), steps);
    }

    private FuzzImage ImageOf(int image) => target.Images[(int)((uint)image % (uint)target.Images.Count)];

    private Seals NewSeals(Seals old) => random.Next(16) switch
    {
        0 => Seals.None,
        1 => Seals.Checksums,
        2 or 3 => Seals.Checksums | Seals.Repeats,
        _ => old,
    };

    private async ValueTask<FuzzStep> NewStepAsync(FuzzImage image)
    {
        var area = image.Areas[random.Next(image.Areas.Count)];
        switch (random.Next(16))
        {
            case 0:
                return FuzzStep.Resize(NewLength(image));
            case 1:
                return CopyStep(image, area);
            case > 3 when area.Fields.Count > 0:
                return await FieldStepAsync(image, area);
            default:
                return FuzzStep.Write(area.Offset + random.Next(area.Length), Scatter(1 + random.Next(8)));
        }
    }

    /// <summary>A new value in a known field, often near the old one or near something else the file speaks of.</summary>
    private async ValueTask<FuzzStep> FieldStepAsync(FuzzImage image, Area area)
    {
        var field = area.Fields[random.Next(area.Fields.Count)];
        var at = area.Offset + field.At;
        if (field.Width > sizeof(long))
            return random.Next(3) == 0 ? FuzzStep.Write(at, Scatter(field.Width)) : FuzzStep.Copy(OtherFieldAt(image, field.Width), at, field.Width);
        var old = at + field.Width <= image.File.Length
            ? Number(await image.File.ReadBytesAsync(at, field.Width), image.BigEndian)
            : 0;
        return FuzzStep.Write(at, Bytes(NewNumber(image, old), field.Width, image.BigEndian));
    }

    private long OtherFieldAt(FuzzImage image, int width)
    {
        for (var attempt = 0; attempt < 8; attempt++)
        {
            var area = image.Areas[random.Next(image.Areas.Count)];
            if (area.Fields.Count == 0)
                continue;
            var field = area.Fields[random.Next(area.Fields.Count)];
            if (field.Width == width)
                return area.Offset + field.At;
        }

        return image.Areas[0].Offset;
    }

    private long NewNumber(FuzzImage image, long old) => random.Next(12) switch
    {
        0 => Edges[random.Next(Edges.Length)],
        1 => -Edges[random.Next(Edges.Length)],
        2 => 1L << random.Next(64),
        3 => (1L << random.Next(64)) - 1,
        4 => old + random.Next(-4, 5),
        5 => old + (random.Next(-4, 5) * (1L << random.Next(9, 30))),
        6 => old ^ (1L << random.Next(64)),
        7 => image.Areas[random.Next(image.Areas.Count)].Offset + (random.Next(-1, 3) * (random.Next(2) == 0 ? 4096L : 1L << 20)),
        8 => NewLength(image),
        9 => long.MaxValue - Edges[random.Next(Edges.Length)],
        10 => random.NextInt64(),
        _ => old * random.Next(2, 5),
    };

    private long NewLength(FuzzImage image) => random.Next(6) switch
    {
        0 => image.File.Length - Edges[random.Next(Edges.Length)],
        1 => image.File.Length + Edges[random.Next(Edges.Length)],
        2 => random.NextInt64(image.File.Length + 1),
        3 => 1L << random.Next(50),
        4 => random.Next(16) * (1L << 20),
        _ => image.File.Length + ((1L << 20) * random.Next(-3, 4)),
    };

    private FuzzStep CopyStep(FuzzImage image, Area area)
    {
        var from = image.Areas[random.Next(image.Areas.Count)];
        var unit = 1 << random.Next(3, 14);
        var length = unit * random.Next(1, 4);
        return FuzzStep.Copy(
            from.Offset + (random.Next(from.Length) / unit * unit), area.Offset + (random.Next(area.Length) / unit * unit), length);
    }

    private void ChangeStep(List<FuzzStep> steps, int index)
    {
        var step = steps[index];
        if (step.Kind != StepKind.Write)
        {
            steps[index] = step with { Offset = Math.Max(0, step.Offset + (random.Next(-2, 3) * (1L << random.Next(21)))) };
            return;
        }

        var bytes = (byte[])step.Bytes.Clone();
        var at = random.Next(bytes.Length);
        bytes[at] = random.Next(3) switch
        {
            0 => (byte)(bytes[at] ^ (1 << random.Next(8))),
            1 => (byte)(bytes[at] + random.Next(-3, 4)),
            _ => (byte)random.Next(256),
        };
        steps[index] = step with { Bytes = bytes };
    }

    private byte[] Scatter(int length)
    {
        var bytes = new byte[length];
        if (random.Next(3) == 0)
            Array.Fill(bytes, (byte)(random.Next(2) * 255));
        else
            random.NextBytes(bytes);
        return bytes;
    }

    private static long Number(ReadOnlySpan<byte> bytes, bool bigEndian)
    {
        Span<byte> eight = stackalloc byte[sizeof(long)];
        bytes.CopyTo(bigEndian ? eight[(sizeof(long) - bytes.Length)..] : eight);
        return bigEndian ? BinaryPrimitives.ReadInt64BigEndian(eight) : BinaryPrimitives.ReadInt64LittleEndian(eight);
    }

    private static byte[] Bytes(long value, int width, bool bigEndian)
    {
        var eight = new byte[sizeof(long)];
        if (bigEndian)
            BinaryPrimitives.WriteInt64BigEndian(eight, value);
        else
            BinaryPrimitives.WriteInt64LittleEndian(eight, value);
        return bigEndian ? eight[(sizeof(long) - width)..] : eight[..width];
    }
}
