"""Time that the script of periodic jobs holds Redis up: measure.py PORT src/store/scripts"""
import socket,statistics,sys,time
class R:
    def __init__(s): s.s=socket.create_connection(("127.0.0.1",int(sys.argv[1]))); s.f=s.s.makefile('rb')
    def cmd(s,*a):
        b=b"*%d\r\n"%len(a)
        for x in a:
            x=x if isinstance(x,bytes) else str(x).encode(); b+=b"$%d\r\n%s\r\n"%(len(x),x)
        s.s.sendall(b); return s.rd()
    def rd(s):
        l=s.f.readline()[:-2]; t,r=l[:1],l[1:]
        if t in b"+-:": return l
        n=int(r)
        if n<0: return None
        if t==b"$": d=s.f.read(n+2)[:-2]; return d
        return [s.rd() for _ in range(n)]
r=R(); root=sys.argv[2]+"/"
src=open(root+"undo.lua").read()+open(root+"lives.lua").read()+open(root+"cron.lua").read()
K=["jiggler:uring:cron:"+k for k in("ticks","entries","runs","holders")]+["jiggler:uring:leases","jiggler:set:retries","jiggler:set:scheduled"]
def job(i): return '{"name":"Report","args":["customer",%d,"%s"],"jid":"j%d"}'%(i,"x"*150,i)
def run(label,entries,skip):
    r.cmd("DEL",*K[:3])
    now=int(time.time()*1000)-1000
    args=[100,100,1000,500,5000,10]
    for e in range(entries):
        r.cmd("HSET",K[1],f"e{e}","{}"); r.cmd("ZADD",K[0],now,f"e{e}")
    for e in range(entries):
        args+=[f"e{e}","{}",now,now,"","",now+60000,"ran",""]+( [f"z{e}",job(10**9+e),"left"] if skip else ["","",""])+["jiggler:list:q",1,job(10**8+e)]
    us=[]
    for _ in range(15):
        for e in range(entries): r.cmd("ZADD",K[0],now,f"e{e}")
        r.cmd("CONFIG","RESETSTAT"); x=r.cmd("EVAL",src,7,*K,*args)
        if isinstance(x,bytes): print(x); return
        st=r.cmd("INFO","commandstats").decode()
        us.append(float([l for l in st.split("\r\n") if l.startswith("cmdstat_eval:")][0].split("usec=")[1].split(",")[0]))
        r.cmd("LTRIM","jiggler:list:q",entries,-1)
    print(f"{label}: {entries} entries, {'skip' if skip else 'allow'}: median {statistics.median(us)/1000:.2f} ms, max {max(us)/1000:.2f} ms",flush=True)
print(r.cmd("INFO","server").decode().split("redis_version:")[1].split()[0])
for e in(1,100):
    for s in(False,True): run("empty database",e,s)
for i in range(50):
    r.cmd("ZADD",K[4],9e15,f"p{i}:8:q")
    for s in range(8):
        r.cmd("HSET",f"{{jiggler:list:q}}:inflight:p{i}:{s}",1,1); 
        for j in range(5): r.cmd("RPUSH",f"{{jiggler:list:q}}:inflight:p{i}:{s}:1",job(j))
for e in(1,100):
    for s in(False,True): run("50 processes of 8 shards with 5 jobs each in flight",e,s)
for z in K[5:7]:
    for c in range(20): r.cmd("ZADD",z,*[y for i in range(1000) for y in(c*1000+i,job(c*1000+i))])
for c in range(60): r.cmd("LPUSH","jiggler:list:q",*[job(c*1000+i) for i in range(1000)])
for i in range(10000): r.cmd("SET",f"other:{i}",1)
for e in(1,100):
    for s in(False,True): run("besides 60,000 jobs waiting, 20,000 in each set, 10,000 other keys",e,s)
