using System.Buffers.Binary;
using System.Text;
using Godwit.Fuzz.Engine;
using Godwit.Nbd.Protocol;

namespace Godwit.Fuzz.Nbd;

/// <summary>A client that has connected was told so: its epoch was acknowledged, its point is there.</summary>
internal static class ConnectionCheck
{
    /// <summary>Judges a client that has connected.</summary>
    /// <param name="script">What it wanted.</param>
    /// <param name="said">All the server said.</param>
    /// <exception cref="FuzzFinding">It goes on without what it wanted.</exception>
    public static void Judge(ClientScript script, ReadOnlySpan<byte> said)
    {
        if (script.Epoch > 0 && said.IndexOf(Head(NbdOption.Supersede, NbdOptionReply.Ack)) < 0)
            throw new FuzzFinding("a writer goes on though nobody has ended the earlier ones");
        if (script.Point is { } point && said.IndexOf(Encoding.UTF8.GetBytes("godwit:dirty:" + point)) < 0)
            throw new FuzzFinding("a client that wants the changes since a point goes on without it");
        if (said.IndexOf(Head(NbdOption.Go, NbdOptionReply.Ack)) < 0)
            throw new FuzzFinding("a client goes on though it was not let in");
    }

    private static byte[] Head(NbdOption option, NbdOptionReply reply)
    {
        var head = new byte[16];
        BinaryPrimitives.WriteUInt64BigEndian(head, NbdMagic.OptionReply);
        BinaryPrimitives.WriteUInt32BigEndian(head.AsSpan(8), (uint)option);
        BinaryPrimitives.WriteUInt32BigEndian(head.AsSpan(12), (uint)reply);
        return head;
    }
}
