using System.Buffers.Binary;
using System.Numerics;
using System.Text;
using Godwit.Nbd.Protocol;

namespace Godwit.Fuzz.Nbd;

/// <summary>What a session asks for, read as the protocol says and as docs/design/nbd.md promises, and what must become of it.</summary>
/// <remarks>It knows nothing of the server but what is offered. Where the server hangs up, by its rules, the model ends.</remarks>
internal sealed partial class SessionModel
{
    private const int MaxOptions = 256;
    private const int MaxOptionLength = 64 << 10;
    private readonly ReadOnlyMemory<byte> _sent;
    private readonly IReadOnlyList<OfferedExport> _exports;
    private readonly bool _isPrompt;
    private readonly Dictionary<OfferedExport, long> _epochs = [];
    private OfferedExport? _chosenFor;
    private uint _chosen;
    private int _at = 4;

    /// <summary>Reads a session.</summary>
    /// <param name="sent">All its client sends.</param>
    /// <param name="exports">What it may choose from.</param>
    /// <param name="isPrompt">The device has done each request before the server looks at the next, and nobody else is there.</param>
    public SessionModel(ReadOnlyMemory<byte> sent, IReadOnlyList<OfferedExport> exports, bool isPrompt)
    {
        (_sent, _exports, _isPrompt) = (sent, exports, isPrompt);
        var flags = sent.Length < 4 ? 0 : BinaryPrimitives.ReadUInt32BigEndian(sent.Span);
        if (flags is not (1 or 3))
            return;
        NoZeroes = flags == 3;
        ReadOptions();
        if (Export is not null)
            ReadRequests();
    }

    /// <summary>Options in order.</summary>
    public List<AskedOption> Options { get; } = [];

    /// <summary>Requests in order; the last one may have been cut off.</summary>
    public List<AskedRequest> Requests { get; } = [];

    /// <summary>The export that was chosen; null when none was.</summary>
    public OfferedExport? Export { get; private set; }

    /// <summary>How requests and replies look.</summary>
    public NbdHeaderForm Form { get; private set; }

    /// <summary>No zeroes behind the answer to EXPORT_NAME.</summary>
    public bool NoZeroes { get; }

    /// <summary>The writer it is of the export it has chosen; 0 for none.</summary>
    public long Epoch => Options.FindLast(option => option.Epoch > 0) is { } last && last.Export == Export ? last.Epoch : 0;

    /// <summary>The latest epoch it says for an export, whether or not it goes on.</summary>
    public long LatestEpoch(string export) => _epochs.FirstOrDefault(each => each.Key.Name == export).Value;

    private void ReadOptions()
    {
        for (var count = 0; count < MaxOptions && Export is null; count++)
        {
            if (_sent.Length - _at < NbdMagic.OptionHeaderLength)
                return;
            var header = _sent.Span.Slice(_at, NbdMagic.OptionHeaderLength);
            var length = BinaryPrimitives.ReadUInt32BigEndian(header[12..]);
            if (BinaryPrimitives.ReadUInt64BigEndian(header) != NbdMagic.Option || length > MaxOptionLength
                || length > _sent.Length - _at - NbdMagic.OptionHeaderLength)
            {
                return;
            }

            var option = (NbdOption)BinaryPrimitives.ReadUInt32BigEndian(header[8..]);
            var data = _sent.Span.Slice(_at + NbdMagic.OptionHeaderLength, (int)length);
            _at += NbdMagic.OptionHeaderLength + (int)length;
            if (!TryTake(option, data))
                return;
        }
    }

    /// <summary>False when it is the last one and no export was chosen.</summary>
    private bool TryTake(NbdOption option, ReadOnlySpan<byte> data)
    {
        switch (option)
        {
            case NbdOption.ExportName:
                if (Find(Encoding.Latin1.GetString(data)) is not { } named)
                    return false;
                Options.Add(new AskedOption(option, null, 0, named));
                Enter(named);
                return true;
            case NbdOption.Abort:
                Options.Add(new AskedOption(option, NbdOptionReply.Ack));
                return false;
            case NbdOption.List:
                Options.Add(data.IsEmpty ? new AskedOption(option, NbdOptionReply.Ack, _exports.Count) : new AskedOption(option, NbdOptionReply.Invalid));
                return true;
            case NbdOption.Info or NbdOption.Go:
                TakeInformation(option, data);
                return true;
            case NbdOption.StructuredReply or NbdOption.ExtendedHeaders:
                TakeForm(option, data, option == NbdOption.StructuredReply ? NbdHeaderForm.Structured : NbdHeaderForm.Extended);
                return true;
            case NbdOption.ListMetaContext or NbdOption.SetMetaContext:
                Options.Add(TakeContexts(option, data));
                return true;
            case NbdOption.Supersede:
                Options.Add(TakeEpoch(option, data));
                return true;
            default:
                Options.Add(new AskedOption(option, NbdOptionReply.Unsupported));
                return true;
        }
    }

    private void TakeInformation(NbdOption option, ReadOnlySpan<byte> data)
    {
        var fields = new OptionFields(data);
        var name = fields.Text();
        for (var left = fields.Number(2); left > 0 && fields.IsSound; left--)
            fields.Number(2);
        var export = Find(name);
        if (!fields.IsWhole || export is null)
        {
            Options.Add(new AskedOption(option, fields.IsWhole ? NbdOptionReply.Unknown : NbdOptionReply.Invalid));
            return;
        }

        Options.Add(new AskedOption(option, NbdOptionReply.Ack, null, export));
        if (option == NbdOption.Go)
            Enter(export);
    }

    private void TakeForm(NbdOption option, ReadOnlySpan<byte> data, NbdHeaderForm form)
    {
        var answer = !data.IsEmpty || Form == form ? NbdOptionReply.Invalid
            : Form > form ? NbdOptionReply.ExtendedHeadersRequired
            : NbdOptionReply.Ack;
        if (answer == NbdOptionReply.Ack)
            Form = form;
        Options.Add(new AskedOption(option, answer));
    }

    private AskedOption TakeContexts(NbdOption option, ReadOnlySpan<byte> data)
    {
        var sets = option == NbdOption.SetMetaContext;
        if (sets)
            _chosenFor = null;
        var fields = new OptionFields(data);
        var name = fields.Text();
        var count = fields.Number(4);
        var export = Find(name);
        var found = !sets && count == 0 && export is not null ? (1u << export.Contexts.Count) - 1 : 0;
        for (var left = count; left > 0 && fields.IsSound; left--)
        {
            var query = fields.Text();
            found |= fields.IsSound && export is not null ? export.Match(query, lists: !sets) : 0;
        }

        if (Form == NbdHeaderForm.Simple || !fields.IsWhole)
            return new AskedOption(option, NbdOptionReply.Invalid);
        if (export is null)
            return new AskedOption(option, NbdOptionReply.Unknown);
        if (sets)
            (_chosenFor, _chosen) = (export, found);
        return new AskedOption(option, NbdOptionReply.Ack, BitOperations.PopCount(found), export);
    }

    private AskedOption TakeEpoch(NbdOption option, ReadOnlySpan<byte> data)
    {
        var fields = new OptionFields(data);
        var name = fields.Text();
        var epoch = fields.Number(8);
        if (!fields.IsWhole || epoch is 0 or > long.MaxValue)
            return new AskedOption(option, NbdOptionReply.Invalid);
        if (Find(name) is not { } export)
            return new AskedOption(option, NbdOptionReply.Unknown);
        _epochs.TryGetValue(export, out var latest);
        if ((long)epoch < latest)
            return new AskedOption(option, NbdOptionReply.Policy);
        _epochs[export] = (long)epoch;
        return new AskedOption(option, NbdOptionReply.Ack, 0, export) { Epoch = (long)epoch };
    }

    private void Enter(OfferedExport export)
    {
        Export = export;
        _length = _maxLength = export.Size;
        _contexts = _chosenFor == export ? _chosen : 0;
    }

    private OfferedExport? Find(string name) => _exports.FirstOrDefault(export => export.Name == name);
}
