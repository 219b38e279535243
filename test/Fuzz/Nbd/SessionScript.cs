using System.Buffers.Binary;
using System.Text;
using Godwit.Fuzz.Engine;
using Godwit.Nbd.Protocol;
using Godwit.Testing.Files;

namespace Godwit.Fuzz.Nbd;

/// <summary>Puts together what an honest client sends, and remembers where its structures are.</summary>
internal sealed class SessionScript
{
    public const string DiskName = "disk";
    public const string OtherName = "other";
    public const int DiskSize = 2 << 20;
    public const int MaxDiskSize = 4 << 20;
    public const int OtherSize = 4096;
    private static readonly Field[] HeaderFields = [new(0, 4), new(4, 2), new(6, 2), new(8, 8), new(16, 8), new(24, 4)];
    private static readonly Field[] ExtendedFields = [new(0, 4), new(4, 2), new(6, 2), new(8, 8), new(16, 8), new(24, 8)];
    private readonly List<byte> _bytes = [];
    private readonly List<Area> _areas = [];
    private ulong _cookie = 1;

    /// <summary>A whole session in one form of headers.</summary>
    public static FuzzImage Create(NbdHeaderForm form, int seed)
    {
        var script = new SessionScript();
        script.Handshake(form, rounds: seed);
        script.Requests(new Random(seed), form == NbdHeaderForm.Extended);
        return new FuzzImage($"{form} {seed}", new MemoryFile(script._bytes.ToArray()), script._areas, BigEndian: true);
    }

    /// <summary>A session of large requests: of the sizes around which payloads begin to go through a pipe and are cut in chunks, several in a row.</summary>
    public static FuzzImage CreateLarge(NbdHeaderForm form)
    {
        var script = new SessionScript();
        var extended = form == NbdHeaderForm.Extended;
        script.Handshake(form, rounds: 1);
        script.Large(NbdCommand.Write, 0, 64 << 10, extended);
        script.Large(NbdCommand.Write, 100 << 10, 128 << 10, extended);
        script.Large(NbdCommand.Write, 512 << 10, 1 << 20, extended);
        script.Large(NbdCommand.Write, 512, (256 << 10) + 512, extended);
        script.Large(NbdCommand.Read, 0, 1 << 20, extended);
        script.Large(NbdCommand.Write, 1 << 20, 4096, extended);
        script.Large(NbdCommand.Write, 1 << 20, 64 << 10, extended);
        script.Large(NbdCommand.Resize, DiskSize + (512 << 10), 0, extended);
        script.Large(NbdCommand.Write, DiskSize - (64 << 10), 300 << 10, extended);
        script.Large(NbdCommand.Read, DiskSize - (64 << 10), 300 << 10, extended);
        script.Large(NbdCommand.BlockStatus, 0, DiskSize, extended);
        script.Large(NbdCommand.BlockStatus, DiskSize - (64 << 10), 512 << 10, extended);
        script.Header(NbdCommand.Disconnect, NbdCommandFlags.None, 0, 0, [], extended);
        return new FuzzImage($"large {form}", new MemoryFile(script._bytes.ToArray()), script._areas, BigEndian: true);
    }

    /// <summary>A session that ends in the handshake: names the export the old way, or asks and goes.</summary>
    public static FuzzImage CreateOld(NbdOption last)
    {
        var script = new SessionScript();
        script.Add("flags", Big32(1), [new(0, 4)]);
        script.Option(NbdOption.ListMetaContext, Contexts(DiskName, "base:"));
        script.Option(last, last == NbdOption.ExportName ? Encoding.UTF8.GetBytes(DiskName) : []);
        if (last == NbdOption.ExportName)
            script.Requests(new Random(7), extended: false);
        return new FuzzImage($"{last}", new MemoryFile(script._bytes.ToArray()), script._areas, BigEndian: true);
    }

    private void Handshake(NbdHeaderForm form, int rounds)
    {
        Add("flags", Big32(3), [new(0, 4)]);
        if (rounds > 1)
        {
            Option(NbdOption.List, []);
            Option(NbdOption.Info, Go(OtherName));
        }

        if (form != NbdHeaderForm.Simple)
        {
            Option(form == NbdHeaderForm.Extended ? NbdOption.ExtendedHeaders : NbdOption.StructuredReply, []);
            Option(NbdOption.ListMetaContext, Contexts(DiskName, "godwit:dirty:"));
            Option(NbdOption.SetMetaContext, Contexts(DiskName, "base:allocation", "godwit:layer", OfferedExport.FirstPoint, OfferedExport.LostPoint));
        }

        if (rounds > 1)
            Option(NbdOption.Supersede, [.. Text(DiskName), 0, 0, 0, 0, 0, 0, 0, 5]);
        if (rounds > 1 || form != NbdHeaderForm.Simple)
            Option(NbdOption.Supersede, [.. Text(DiskName), 0, 0, 0, 0, 0, 0, 0, 7]);

        Option(NbdOption.Go, Go(DiskName));
    }

    private void Requests(Random random, bool extended)
    {
        NbdCommand[] commands =
        [
            NbdCommand.Write, NbdCommand.Read, NbdCommand.BlockStatus, NbdCommand.Flush, NbdCommand.Trim, NbdCommand.WriteZeroes, NbdCommand.Cache,
            NbdCommand.Read, NbdCommand.Write, NbdCommand.BlockStatus, NbdCommand.Resize, NbdCommand.Write, NbdCommand.BlockStatus,
        ];
        foreach (var command in commands)
            Request(random, command, extended);
        Header(NbdCommand.Disconnect, NbdCommandFlags.None, 0, 0, [], extended);
    }

    private void Request(Random random, NbdCommand command, bool extended)
    {
        var length = command is NbdCommand.Flush or NbdCommand.Resize ? 0u : (uint)random.Next(1, 5) * 512;
        var offset = command switch
        {
            NbdCommand.Flush => 0UL,
            NbdCommand.Resize => (ulong)(DiskSize + (random.Next(5) * 4096)),
            _ => (ulong)random.Next(400) * 512,
        };
        var payload = new byte[command == NbdCommand.Write ? length : 0];
        random.NextBytes(payload);
        var flags = extended && command == NbdCommand.Write ? NbdCommandFlags.PayloadLength : NbdCommandFlags.None;
        if (extended && command == NbdCommand.BlockStatus && random.Next(2) == 0)
        {
            payload = [0, 0, 0, 0, .. Big32(length), .. Big32(random.Next(2) == 0 ? 1u : 4u)];
            (flags, length) = (NbdCommandFlags.PayloadLength, (uint)payload.Length);
        }

        Header(command, flags, offset, length, payload, extended);
    }

    private void Large(NbdCommand command, int offset, int length, bool extended)
    {
        var payload = new byte[command == NbdCommand.Write ? length : 0];
        new Random(offset + length).NextBytes(payload);
        Header(command, extended && command == NbdCommand.Write ? NbdCommandFlags.PayloadLength : NbdCommandFlags.None, (ulong)offset, (uint)length, payload, extended);
    }

    private void Header(NbdCommand command, NbdCommandFlags flags, ulong offset, uint length, byte[] payload, bool extended)
    {
        var header = new byte[RequestHeader.LengthOf(extended)];
        new RequestHeader(flags, command, _cookie++, offset, length, extended).Write(header);
        Add($"{command}", [.. header, .. payload], extended ? ExtendedFields : HeaderFields);
    }

    private void Option(NbdOption option, byte[] data)
    {
        var header = new byte[NbdMagic.OptionHeaderLength];
        BinaryPrimitives.WriteUInt64BigEndian(header, NbdMagic.Option);
        BinaryPrimitives.WriteUInt32BigEndian(header.AsSpan(8), (uint)option);
        BinaryPrimitives.WriteInt32BigEndian(header.AsSpan(12), data.Length);
        List<Field> fields = [new(0, 8), new(8, 4), new(12, 4)];
        for (var at = 16; at + 4 <= 16 + data.Length && at < 32; at += 4)
            fields.Add(new Field(at, 4));
        if (option == NbdOption.Supersede)
            fields.Add(new Field(16 + data.Length - 8, 8));
        Add($"{option}", [.. header, .. data], fields);
    }

    private void Add(string name, byte[] bytes, IReadOnlyList<Field> fields)
    {
        _areas.Add(new Area(name, _bytes.Count, bytes.Length, fields));
        _bytes.AddRange(bytes);
    }

    private static byte[] Go(string export) => [.. Text(export), 0, 2, 0, 3, 0, 1];

    private static byte[] Contexts(string export, params string[] names) =>
        [.. Text(export), .. Big32((uint)names.Length), .. names.SelectMany(Text)];

    private static byte[] Text(string text) => [.. Big32((uint)Encoding.UTF8.GetByteCount(text)), .. Encoding.UTF8.GetBytes(text)];

    private static byte[] Big32(uint value) => [(byte)(value >> 24), (byte)(value >> 16), (byte)(value >> 8), (byte)value];
}
